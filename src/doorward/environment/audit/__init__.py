"""Who let whom in: one row per decision, with what, when and from where. No secrets. Mounts nothing.

`record` runs in the transaction of the change it records: neither can exist without the other.
"""

from doorward.environment.audit.trail import Audit, AuditEntry, AuditPage, NamedEntry, record

__all__ = ["Audit", "AuditEntry", "AuditPage", "NamedEntry", "record"]
