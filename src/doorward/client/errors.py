"""Everything that can go wrong on the way to a machine, with what to do next.

ClientError
├── ConfigurationMissing     no relay or accounts server is known here
├── SignInRequired           no stored authorization, or it was refused
├── SignInFailed             the person or the accounts server said no, or time ran out
├── MachineUnknown           no machine or service of that name is linked to the account
├── ApprovalPending          the machine's owner has not decided about this device yet
├── ApprovalRejected         the machine's owner refused this device
├── Refused                  the relay or machine answered no; asking again will not help
│   └── ClocksApart          it may have said no because its clock and ours do not agree
└── Unavailable              something did not answer; asking again later may help

`kind` and `reason` are T3's (connect-environment §7.6): what is *blocked* waits for somebody to act, what is *transient* is
tried again by itself.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["blocked", "transient"]
Reason = Literal[
    "authentication",
    "permission",
    "configuration",
    "timeout",
    "network",
    "transport",
    "endpoint-unavailable",
    "relay-unavailable",
    "remote-unavailable",
]


class ClientError(Exception):
    """A failure to show to a person: `code` for programs, the message says what happened and what to do."""

    code = "client_error"
    kind: Kind = "blocked"
    reason: Reason = "configuration"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigurationMissing(ClientError):
    code = "configuration_missing"


class SignInRequired(ClientError):
    code = "sign_in_required"
    reason = "authentication"


class SignInFailed(ClientError):
    code = "sign_in_failed"
    reason = "authentication"


class MachineUnknown(ClientError):
    code = "machine_unknown"


class ApprovalPending(ClientError):
    code = "approval_pending"
    reason = "permission"


class ApprovalRejected(ClientError):
    code = "approval_rejected"
    reason = "permission"


class Refused(ClientError):
    code = "refused"

    def __init__(self, message: str, *, reason: Reason = "permission") -> None:
        super().__init__(message)
        self.reason = reason


class ClocksApart(Refused):
    code = "clock_skew"

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="authentication")


class Unavailable(ClientError):
    code = "unavailable"
    kind = "transient"

    def __init__(self, message: str, *, reason: Reason = "network") -> None:
        super().__init__(message)
        self.reason = reason
