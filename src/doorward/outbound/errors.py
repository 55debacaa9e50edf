"""Everything a request of ours raises.

OutboundError             .code is stable; the text is one sentence and names the origin, never the whole URL
├── InsecureUrl           insecure_url         not https, and not this machine; or not a URL at all. Nothing was sent
├── AddressRefused        address_refused      a stranger's URL that leads to this machine or its network. Nothing was sent
├── Unreachable           unreachable          no connection, or it broke before the answer was complete
│   └── CertificateRefused certificate_refused the peer's certificate is not trusted. Nothing was sent
├── TimedOut              timed_out            the answer was not complete in time; the request may have been acted on
├── TooLarge              too_large            the answer exceeds the caller's limit
└── UnexpectedBody        unexpected_body      the answer's JSON is not of the type asked for
"""

from typing import ClassVar


class OutboundError(Exception):
    """Base of the tree above."""

    code: ClassVar[str] = "outbound_error"


class InsecureUrl(OutboundError):
    code = "insecure_url"


class AddressRefused(OutboundError):
    code = "address_refused"


class Unreachable(OutboundError):
    code = "unreachable"


class CertificateRefused(Unreachable):
    code = "certificate_refused"


class TimedOut(OutboundError):
    code = "timed_out"


class TooLarge(OutboundError):
    code = "too_large"


class UnexpectedBody(OutboundError):
    code = "unexpected_body"
