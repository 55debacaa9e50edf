"""The audit trail: who did what, to which object, when and from where. Never a secret.

Owns `identity_audit`. Every service writes to it inside the transaction that changes the state, so that a change and
its trace live or die together. From where it was asked for no service has to say (`asking`). Mounts no routes. The console
reads it (`service`).
"""
