"""Session tokens that were verified lately, so that one seen again costs no signature and no reading.

What is remembered of a token is what no second request can change: that these keys signed it, that these rules let its
claims pass, and whom it makes of a request. Its times are checked at each request; whatever else requests differ in
(kinds of token accepted, cookies, handshakes) is decided outside, as for a token seen first.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from doorward.verify.jwt import ClaimRules, Keys, lifetime
from doorward.verify.machine_tokens import BearerToken, is_bound_to_key
from doorward.verify.results import SessionAuth
from doorward.verify.state import RequestState, signed_in


class _Remembered(msgspec.Struct, frozen=True):
    state: RequestState
    keys: Keys
    rules: ClaimRules
    begins: int
    expires: int


class VerifiedTokens:
    """At most `size` of them, by the `Authorization` header they come in, each with the keys and the rules it passed.

    Under other keys or rules a token is a stranger's: a key that was withdrawn takes its tokens along.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: OrderedDict[str, _Remembered] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def find(
        self, authorization: str, keys: Keys | None, rules: ClaimRules, now: float
    ) -> RequestState | None:
        """The verdict on a request with this header, if its token is known and still holds at `now` (seconds)."""
        known = self._known.get(authorization)
        if known is None or known.keys is not keys or known.rules is not rules:
            return None
        skew = rules.clock_skew
        if known.expires <= now - skew or known.begins > now + skew:  # as `check_times` has it
            return None
        return known.state

    def add(self, token: str, session: SessionAuth, keys: Keys, rules: ClaimRules) -> None:
        """Remember a `token` that was verified by `keys` and `rules`, if it may be, and that it stands for `session`."""
        claims, bearer = session.session_claims or {}, BearerToken(token)
        if is_bound_to_key(claims) or bearer.machine_type is not None or not bearer.is_of_session_category:
            return  # a template's token may be verified alone, but makes nobody signed in
        self._known[f"Bearer {token}"] = _Remembered(signed_in(session), keys, rules, *lifetime(claims))
        while len(self._known) > self._size:
            self._known.popitem(last=False)
