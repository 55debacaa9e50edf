"""The relay's audit trail: who changed what, when, from where, and for which object.

Rows are written in the transaction of the change they tell of, so neither exists without the other. They
carry no secret: identifiers only. No routes; every service of the relay writes here.
"""
