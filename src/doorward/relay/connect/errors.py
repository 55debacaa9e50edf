"""Why a connect or status request got no answer from the environment.

ConnectFailed
├── NotAuthorized        no request was sent; `reason` is one of the protocol's words, or none is told
├── EndpointUnavailable  `reason`: the request failed, or its answer does not hold
└── EndpointTimedOut
"""

from typing import Literal

from doorward.t3_connect.errors import ConnectRefusal

UnavailableReason = Literal["endpoint_request_failed", "endpoint_response_invalid"]


class ConnectFailed(Exception):
    pass


class NotAuthorized(ConnectFailed):
    def __init__(self, reason: ConnectRefusal | None) -> None:
        super().__init__(reason)
        self.reason: ConnectRefusal | None = reason


class EndpointUnavailable(ConnectFailed):
    def __init__(self, reason: UnavailableReason) -> None:
        super().__init__(reason)
        self.reason: UnavailableReason = reason


class EndpointTimedOut(ConnectFailed):
    pass
