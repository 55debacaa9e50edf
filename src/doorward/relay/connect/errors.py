"""Why a connect or status request got no answer from the environment.

ConnectFailed
├── NotAuthorized        no request was sent; `reason` is one of the protocol's words, or none is told
├── EndpointUnavailable  `reason`: the request failed, or its answer does not hold
└── EndpointTimedOut
"""

from typing import Literal

NotAuthorizedReason = Literal[
    "client_proof_key_thumbprint_missing",
    "environment_link_not_found",
    "endpoint_provider_not_managed",
    "managed_endpoint_allocation_not_found",
    "managed_endpoint_base_domain_not_configured",
    "managed_endpoint_allocation_not_ready",
    "managed_endpoint_hostname_invalid",
    "managed_endpoint_mismatch",
]
UnavailableReason = Literal["endpoint_request_failed", "endpoint_response_invalid"]


class ConnectFailed(Exception):
    pass


class NotAuthorized(ConnectFailed):
    def __init__(self, reason: NotAuthorizedReason | None) -> None:
        super().__init__(reason)
        self.reason: NotAuthorizedReason | None = reason


class EndpointUnavailable(ConnectFailed):
    def __init__(self, reason: UnavailableReason) -> None:
        super().__init__(reason)
        self.reason: UnavailableReason = reason


class EndpointTimedOut(ConnectFailed):
    pass
