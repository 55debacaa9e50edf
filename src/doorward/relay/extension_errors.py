"""Errors of this relay that the T3 Connect protocol does not have, in its shape. See docs/protocol-extensions.md."""

from typing import Literal

from doorward.t3_connect.errors import NO_TRACE, ErrorBody


class RateLimited(ErrorBody, frozen=True, kw_only=True, tag="RelayRateLimitedError"):
    """Too many requests of one account; sent with `retry-after`."""

    status = 429
    code: Literal["rate_limited"] = "rate_limited"
    retry_after_seconds: int
    trace_id: str = NO_TRACE


class ServiceNameTaken(ErrorBody, frozen=True, kw_only=True, tag="RelayServiceNameTakenError"):
    status = 409
    code: Literal["name_taken"] = "name_taken"
    trace_id: str = NO_TRACE


class ServiceNameLimit(ErrorBody, frozen=True, kw_only=True, tag="RelayServiceNameLimitError"):
    status = 409
    code: Literal["too_many_names"] = "too_many_names"
    trace_id: str = NO_TRACE


class ServiceNameRefused(ErrorBody, frozen=True, kw_only=True, tag="RelayServiceNameRefusedError"):
    status = 422
    code: Literal["name_reserved", "name_invalid"]
    trace_id: str = NO_TRACE
