"""Everything that can be wrong with a key, a token or a proof.

    JoseError
    ├── InvalidKey          a key that must not be used: wrong type, too small, ROCA, private where public is due
    ├── MalformedToken      not a compact JWS of strict JSON; also `crit`, `b64`, over-long, too deep
    ├── AlgorithmRefused    `alg` is not the key's own, or not among those the caller accepts
    ├── UnknownKey          no key fits the header's `kid`; fetching the key set again may help
    ├── InvalidSignature
    ├── ClaimRefused        authentic, but `typ` or a claim says no; `.claim` names it
    │   └── TokenExpired    `exp` has passed; a fresh token will do
    └── DpopError           a DPoP proof that does not prove this request (RFC 9449 §4.3)

`code` is stable and meant for programs; the message is for people and never holds key or token text.
"""

from __future__ import annotations


class JoseError(Exception):
    """Base of the tree. `code` is stable; `claim` names the claim or header member at fault, if one is."""

    code = "jose_error"

    def __init__(self, message: str, *, code: str | None = None, claim: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.claim = claim


class InvalidKey(JoseError):
    code = "invalid_key"


class MalformedToken(JoseError):
    code = "malformed_token"


class AlgorithmRefused(JoseError):
    code = "algorithm_refused"


class UnknownKey(JoseError):
    code = "unknown_key"


class InvalidSignature(JoseError):
    code = "invalid_signature"


class ClaimRefused(JoseError):
    """`code` is one of missing_claim, invalid_claim, typ_mismatch, issuer_mismatch, audience_mismatch,
    not_yet_valid, issued_in_future, too_old, expired."""

    code = "invalid_claim"


class TokenExpired(ClaimRefused):
    code = "expired"


class DpopError(JoseError):
    """`code` is one of missing_proof, malformed_proof, invalid_signature, time_window, key_mismatch,
    method_mismatch, url_mismatch, access_token_hash_mismatch, invalid_proof."""

    code = "invalid_proof"
