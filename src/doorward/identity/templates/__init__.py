"""JWT templates: named sets of claims that a session can be turned into a token with.

Owns `identity_jwt_templates`. The template `t3-relay` (`{"aud": "t3-code-relay"}`) is there from the start.

    shortcodes   the language of claims: compiled once, evaluated within a budget
    values       what shortcodes may read
    rules        names, reserved claims, times, keys
    lint         what the data layers would make of the result
    store        rows
    service      one use case a method, the token among them

Neighbours: `sessions` says for whom a token is made; `signing_keys` signs it, unless the template brings its own key.
docs/templates.md is for those who write templates.
"""
