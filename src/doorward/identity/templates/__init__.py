"""JWT templates: named sets of claims that a session can be turned into a token with.

Owns `identity_jwt_templates`. Claims are JSON; a string may hold shortcodes `{{user.id}}`. The template `t3-relay`
(`{"aud": "t3-code-relay"}`) is there from the start. Neighbours: `sessions` signs the result.
"""
