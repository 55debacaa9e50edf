"""Why a link was not made.

LinkRefused
├── LinkProofExpired      the environment's proof is past its `exp`; a fresh proof will do
├── LinkProofInvalid      `reason` is one of the protocol's words
├── EndpointUnavailable   no public endpoint; `is_configured` says whether the relay offers any
├── TooManyTunnels        the account has its `max_tunnels` managed tunnels already
└── LinkNotStored         the database refused; `stage` says at which rows
"""

from typing import Literal

ProofReason = Literal[
    "invalid_signature_or_scope",
    "descriptor_mismatch",
    "replayed_nonce",
    "challenge_invalid",
    "origin_not_allowed",
    "endpoint_not_secure",
]
Stage = Literal["replay", "endpoint", "link", "credential"]


class LinkRefused(Exception):
    pass


class LinkProofExpired(LinkRefused):
    pass


class LinkProofInvalid(LinkRefused):
    def __init__(self, reason: ProofReason) -> None:
        super().__init__(reason)
        self.reason: ProofReason = reason


class EndpointUnavailable(LinkRefused):
    def __init__(self, *, is_configured: bool) -> None:
        super().__init__("provisioning failed" if is_configured else "not configured")
        self.is_configured = is_configured


class TooManyTunnels(LinkRefused):
    def __init__(self, max_tunnels: int) -> None:
        super().__init__(f"{max_tunnels} tunnels")
        self.max_tunnels = max_tunnels


class LinkNotStored(LinkRefused):
    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.stage: Stage = stage


class EndpointNotRemoved(Exception):
    """The link has ended, but what its provider keeps is still there: unlinking again finishes that."""
