"""Making, changing and listing templates; the token one gives for a user, and a look at it beforehand."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from doorward.identity.accounts import store as accounts
from doorward.identity.accounts.store import Account, UserRecord
from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    FORM_PARAM_EXCEEDS_ALLOWED_SIZE,
    FORM_PARAM_VALUE_INVALID,
    SESSION_TOKEN_JWT_TEMPLATE,
    Problem,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_id
from doorward.identity.organizations import store as organizations
from doorward.identity.signing_keys.service import SigningKeys
from doorward.identity.templates import rules, store
from doorward.identity.templates.lint import lint
from doorward.identity.templates.shortcodes import (
    Evaluation,
    TemplateRefused,
    Warned,
    compile_claims,
    unread_braces,
)
from doorward.identity.templates.store import TemplateRecord
from doorward.identity.templates.values import values_of
from doorward.jose import ForeignSigningKey, sign_jwt
from doorward.store import Clock, Database, Sealer, Tx

if TYPE_CHECKING:
    from doorward.identity.organizations.details import Membership

T3_RELAY = "t3-relay"
T3_RELAY_AUDIENCE = "t3-code-relay"


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants a template to be; None: as it is, for a new one the default. Seconds.

    `signing_key` is a shared secret or a PEM, kept sealed and never told again.
    """

    name: str
    claims: Mapping[str, Any]
    lifetime: int | None = None
    allowed_clock_skew: int | None = None
    custom_signing_key: bool | None = None
    signing_algorithm: str | None = None
    signing_key: str | None = None

    def __repr__(self) -> str:
        return f"Draft({self.name})"


class Preview(msgspec.Struct, frozen=True):
    """The claims some user would get, and what to know about them. `size` is bytes of JSON."""

    claims: dict[str, Any]
    size: int
    warnings: list[Warned]


class SessionTemplate(msgspec.Struct, frozen=True):
    """`roles` of the user, by organization."""

    record: TemplateRecord
    roles: Mapping[str, str]


class Templates:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        sealer: Sealer,
        signing_keys: SigningKeys,
        image_url: Callable[[UserRecord], str],
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._signing_keys = signing_keys
        self._image_url = image_url

    async def prepare(self) -> None:
        """Plant the template T3 Connect asks for, once."""
        template = self._new_record(Draft(name=T3_RELAY, claims={"aud": T3_RELAY_AUDIENCE}))
        await self._database.write(lambda tx: store.insert(tx, template))

    # -- the templates themselves

    async def create(self, draft: Draft, *, actor: str | None) -> TemplateRecord:
        """Raises Refused: 400 for a reserved claim, 422 for what else cannot be, a taken name among it."""
        template = self._new_record(draft)

        def work(tx: Tx) -> None:
            if not store.insert(tx, template):
                raise Refused(_name_taken())
            self._audit(tx, actor, "created", template)

        await self._database.write(work)
        return template

    async def update(self, template_id: str, draft: Draft, *, actor: str | None) -> TemplateRecord:
        """Raises Refused as `create`, or 404. A key of its own stays, where the draft brings none."""
        stored = await self.get(template_id)
        fresh = self._record(stored, draft)

        def work(tx: Tx) -> None:
            namesake = store.find_by_name(tx, draft.name)
            if namesake is not None and namesake.id != template_id:
                raise Refused(_name_taken())
            if store.find(tx, template_id) is None:
                raise Refused(_not_found())
            store.update(tx, fresh)
            self._audit(tx, actor, "updated", fresh)

        await self._database.write(work)
        return fresh

    async def delete(self, template_id: str, *, actor: str | None) -> None:
        """Raises Refused: 404, 403 for the template of session tokens."""

        def work(tx: Tx) -> None:
            template = store.find(tx, template_id)
            if template is None:
                raise Refused(_not_found())
            if template.name == rules.FOR_SESSIONS:
                raise Refused(SESSION_TOKEN_JWT_TEMPLATE)
            store.delete(tx, template_id)
            self._audit(tx, actor, "deleted", template)

        await self._database.write(work)

    async def get(self, template_id: str) -> TemplateRecord:
        """Raises Refused (404)."""
        template = await self._database.read(lambda tx: store.find(tx, template_id))
        if template is None:
            raise Refused(_not_found())
        return template

    async def list(self, *, limit: int, offset: int) -> tuple[list[TemplateRecord], int]:
        """Newest first, and how many there are in all."""
        return await self._database.read(lambda tx: store.page(tx, limit=limit, offset=offset))

    # -- what they give

    async def token(
        self,
        name: str,
        account: Account,
        *,
        issuer: str,
        origin: str | None,
        lifetime: int | None = None,
        actor: str | None = None,
        membership: Membership | None = None,
    ) -> str:
        """The JWT. `lifetime` (seconds) beats the template's. Raises Refused: 404, or 422 where this user's data make
        it too large."""
        template, roles = await self._database.read(
            lambda tx: (store.find_by_name(tx, name), organizations.roles_of(tx, account.user.id))
        )
        if template is None:
            raise Refused(not_found(f"No JWT template exists with name: {name}"))
        own = self._own_claims(template, account, actor, membership, roles)
        claims = own | self._defaults(template, account.user.id, issuer, origin, lifetime)
        # A template's key never verifies at the instance's key set, so its own name goes into the header.
        header = {"cat": rules.CATEGORY_TEMPLATE}
        sealed = template.sealed_signing_key
        if sealed is None:
            return self._signing_keys.sign(claims, typ="JWT", header=header)
        return sign_jwt(claims, self._own_key(template, sealed), typ="JWT", header=header)

    def of_sessions(self, tx: Tx, user_id: str) -> SessionTemplate | None:
        """What customises session tokens, if anything does, with what else it may read of the user."""
        template = store.find_by_name(tx, rules.FOR_SESSIONS)
        return None if template is None else SessionTemplate(template, organizations.roles_of(tx, user_id))

    def session_claims(
        self,
        template: SessionTemplate,
        account: Account,
        *,
        actor: str | None,
        membership: Membership | None,
    ) -> dict[str, Any]:
        """The claims it adds. Raises Refused (422) where this user's data make them too large."""
        return self._own_claims(template.record, account, actor, membership, template.roles)

    def _own_claims(
        self,
        template: TemplateRecord,
        account: Account,
        actor: str | None,
        membership: Membership | None,
        roles: Mapping[str, str],
    ) -> dict[str, Any]:
        values = values_of(
            account,
            image_url=self._image_url(account.user),
            actor=actor,
            membership=membership,
            organizations=roles,
        )
        try:
            own: dict[str, Any] = Evaluation(values).claims(_compiled(template.claims))
        except TemplateRefused as refused:
            raise Refused(
                FORM_PARAM_EXCEEDS_ALLOWED_SIZE.at(
                    "claims", long_message=f"Template {template.name}: {refused}."
                )
            ) from None
        return own

    async def preview(self, claims: Mapping[str, Any], user_id: str) -> Preview:
        """What a template of these claims would give a user, without making one. Raises Refused (400, 404, 422)."""
        _checked_claims(claims)
        account, roles = await self._database.read(
            lambda tx: (accounts.find_account(tx, user_id), organizations.roles_of(tx, user_id))
        )
        if account is None:
            raise Refused(not_found("No user was found with this id."))
        evaluation = Evaluation(
            values_of(account, image_url=self._image_url(account.user), organizations=roles)
        )
        compiled = compile_claims(claims)
        try:
            made = evaluation.claims(compiled)
        except TemplateRefused as refused:
            raise Refused(FORM_PARAM_EXCEEDS_ALLOWED_SIZE.at("claims", long_message=f"{refused}.")) from None
        size = len(msgspec.json.encode(made))
        warnings = [*evaluation.warnings, *unread_braces(compiled), *lint(made, size)]
        return Preview(made, size, warnings)

    # -- the parts

    def _defaults(
        self, template: TemplateRecord, user_id: str, issuer: str, origin: str | None, lifetime: int | None
    ) -> dict[str, Any]:
        seconds = self._clock() // 1000
        azp = {} if origin is None else {"azp": origin}
        return azp | {
            "exp": seconds + (template.lifetime if lifetime is None else lifetime),
            "iat": seconds,
            "iss": issuer,
            "jti": secrets.token_hex(10),
            "nbf": seconds - template.allowed_clock_skew,
            "sub": user_id,
        }

    def _new_record(self, draft: Draft) -> TemplateRecord:
        now = self._clock()
        blank = TemplateRecord(
            id=new_id("jtmp"),
            name="",
            claims="",
            lifetime=rules.DEFAULT_LIFETIME,
            allowed_clock_skew=rules.DEFAULT_CLOCK_SKEW,
            signing_algorithm=rules.INSTANCE_ALGORITHM,
            sealed_signing_key=None,
            created_at=now,
            updated_at=now,
        )
        return self._record(blank, draft)

    def _record(self, before: TemplateRecord, draft: Draft) -> TemplateRecord:
        """`before` as the draft wants it. Raises Refused."""
        claims = _checked_claims(draft.claims)
        lifetime = before.lifetime if draft.lifetime is None else draft.lifetime
        skew = before.allowed_clock_skew if draft.allowed_clock_skew is None else draft.allowed_clock_skew
        algorithm, sealed = before.signing_algorithm, before.sealed_signing_key
        problems = rules.settings_problems(draft.name, lifetime, skew)
        had_key = sealed is not None
        is_custom = had_key if draft.custom_signing_key is None else draft.custom_signing_key
        is_same_key = had_key and draft.signing_key is None and draft.signing_algorithm in (None, algorithm)
        if not is_custom or not is_same_key:
            problems += rules.key_problems(
                is_custom=is_custom, algorithm=draft.signing_algorithm, key=draft.signing_key
            )
            algorithm, sealed = rules.INSTANCE_ALGORITHM, None
        problems += rules.session_token_problems(draft.name, before.name or None, has_key=is_custom)
        if problems:
            raise Refused(*problems)
        if is_custom and draft.signing_key is not None and draft.signing_algorithm is not None:
            algorithm = draft.signing_algorithm
            sealed = self._sealer.seal(draft.signing_key.encode(), context=key_context(before.id))
        return msgspec.structs.replace(
            before,
            name=draft.name,
            claims=claims,
            lifetime=lifetime,
            allowed_clock_skew=skew,
            signing_algorithm=algorithm,
            sealed_signing_key=sealed,
            updated_at=self._clock(),
        )

    def _own_key(self, template: TemplateRecord, sealed: bytes) -> ForeignSigningKey:
        text = self._sealer.open(sealed, context=key_context(template.id)).decode()
        return ForeignSigningKey.from_text(
            text, template.signing_algorithm, kid=template.id, checked_before=True
        )

    def _audit(self, tx: Tx, actor: str | None, what: str, template: TemplateRecord) -> None:
        audit.record(
            tx,
            now=self._clock(),
            actor=actor,
            action=f"jwt_template.{what}",
            object_id=template.id,
            detail=template.name,
        )


@lru_cache(maxsize=256)
def _compiled(claims: str) -> Any:
    return compile_claims(msgspec.json.decode(claims.encode()))


def _checked_claims(claims: Mapping[str, Any]) -> str:
    """As JSON. Raises Refused."""
    try:
        compile_claims(claims)
    except TemplateRefused as refused:
        raise Refused(FORM_PARAM_VALUE_INVALID.at("claims", long_message=f"{refused}.")) from None
    encoded = msgspec.json.encode(claims)
    if problems := rules.claims_problems(claims, encoded):
        raise Refused(*problems)
    return encoded.decode()


def _name_taken() -> Problem:
    return FORM_PARAM_VALUE_INVALID.at("name", long_message="This name is taken.")


def _not_found() -> Problem:
    return not_found("No JWT template was found with this id.")


def key_context(template_id: str) -> str:
    """What a template's sealed key is bound to."""
    return f"identity/jwt-template/{template_id}"
