"""Everything that can go wrong on the way to a machine, with what to do next.

ClientError
├── ConfigurationMissing     no relay or accounts server is known here
├── SignInRequired           no stored authorization, or it was refused
├── SignInFailed             the person or the accounts server said no, or time ran out
├── MachineUnknown           no machine or service of that name is linked to the account
├── ApprovalRejected         the machine's owner refused this device
├── Refused                  the relay or machine answered no; asking again will not help
└── Unavailable              something did not answer; asking again later may help
"""

from __future__ import annotations


class ClientError(Exception):
    """A failure to show to a person: `code` for programs, the message says what happened and what to do."""

    code = "client_error"
    exit_status = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigurationMissing(ClientError):
    code = "configuration_missing"


class SignInRequired(ClientError):
    code = "sign_in_required"


class SignInFailed(ClientError):
    code = "sign_in_failed"


class MachineUnknown(ClientError):
    code = "machine_unknown"


class ApprovalRejected(ClientError):
    code = "approval_rejected"


class Refused(ClientError):
    code = "refused"

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class Unavailable(ClientError):
    code = "unavailable"
