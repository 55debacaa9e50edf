"""Creating templates, and the claims one gives for a user."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import msgspec

from doorward.identity.accounts.store import Account
from doorward.identity.errors import (
    FORM_PARAM_MAX_LENGTH,
    FORM_PARAM_VALUE_INVALID,
    TEMPLATE_RESERVED_CLAIM,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_id
from doorward.identity.templates import rules, store
from doorward.identity.templates.store import TemplateRecord
from doorward.store import Clock, Database

T3_RELAY = "t3-relay"
T3_RELAY_AUDIENCE = "t3-code-relay"


class Templates:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def prepare(self) -> None:
        """Plant the template T3 Connect asks for, once."""
        template = self._record(T3_RELAY, {"aud": T3_RELAY_AUDIENCE}, lifetime=60, allowed_clock_skew=5)
        await self._database.write(lambda tx: store.insert(tx, template))

    async def create(
        self, name: str, claims: Mapping[str, object], *, lifetime: int = 60, allowed_clock_skew: int = 5
    ) -> TemplateRecord:
        """Raises Refused: 400 for a reserved claim, 422 for a bad name, lifetime or a taken name."""
        reserved = rules.reserved_claims(claims)
        if reserved:
            raise Refused(
                *(
                    TEMPLATE_RESERVED_CLAIM.at(
                        "claims", long_message=f"You can't use the reserved claim: '{name}'"
                    )
                    for name in reserved
                )
            )
        if not rules.NAME.fullmatch(name):
            raise Refused(FORM_PARAM_VALUE_INVALID.at("name"))
        if not rules.MIN_LIFETIME <= lifetime <= rules.MAX_LIFETIME:
            raise Refused(FORM_PARAM_VALUE_INVALID.at("lifetime"))
        if not 0 <= allowed_clock_skew <= 300:
            raise Refused(FORM_PARAM_VALUE_INVALID.at("allowed_clock_skew"))
        template = self._record(name, claims, lifetime=lifetime, allowed_clock_skew=allowed_clock_skew)
        if len(template.claims.encode()) > rules.MAX_CLAIMS_BYTES:
            raise Refused(FORM_PARAM_MAX_LENGTH.at("claims"))
        if not await self._database.write(lambda tx: store.insert(tx, template)):
            raise Refused(FORM_PARAM_VALUE_INVALID.at("name", long_message="This name is taken."))
        return template

    async def claims(
        self, name: str, account: Account, *, issuer: str, origin: str | None
    ) -> dict[str, object]:
        """Every claim of the token, in Clerk's order of defaults. Raises Refused (404)."""
        template = await self._database.read(lambda tx: store.find_by_name(tx, name))
        if template is None:
            raise Refused(not_found(f"No JWT template exists with name: {name}"))
        seconds = self._clock() // 1000
        own = rules.render(msgspec.json.decode(template.claims.encode()), _values(account))
        claims: dict[str, object] = dict(own) if isinstance(own, Mapping) else {}
        if origin is not None:
            claims["azp"] = origin
        claims |= {
            "exp": seconds + template.lifetime,
            "iat": seconds,
            "iss": issuer,
            "jti": secrets.token_hex(10),
            "nbf": seconds - template.allowed_clock_skew,
            "sub": account.user.id,
        }
        return claims

    def _record(
        self, name: str, claims: Mapping[str, object], *, lifetime: int, allowed_clock_skew: int
    ) -> TemplateRecord:
        now = self._clock()
        text = msgspec.json.encode(claims).decode()
        return TemplateRecord(new_id("jtmp"), name, text, lifetime, allowed_clock_skew, now, now)


def _values(account: Account) -> dict[str, object]:
    """What shortcodes may read; private data is not among it."""
    user, email = account.user, account.primary_email
    names = [name for name in (user.first_name, user.last_name) if name]
    return {
        "user.id": user.id,
        "user.first_name": user.first_name,
        "user.last_name": user.last_name,
        "user.full_name": " ".join(names) or None,
        "user.primary_email_address": email.address,
        "user.email_verified": email.verified_at is not None,
        "user.created_at": user.created_at // 1000,
        "user.updated_at": user.updated_at // 1000,
        "user.public_metadata": msgspec.json.decode(user.public_metadata.encode()),
        "user.unsafe_metadata": msgspec.json.decode(user.unsafe_metadata.encode()),
    }
