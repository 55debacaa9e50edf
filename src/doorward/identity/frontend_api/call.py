"""One request of the Frontend API: who asks, what they sent, and how an answer is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from doorward.identity.answers import json
from doorward.identity.clients import store as client_store
from doorward.identity.clients.service import Changed, ClientChange
from doorward.identity.errors import (
    FORM_PARAM_VALUE_INVALID,
    REQUEST_BODY_INVALID,
    REQUEST_BODY_TOO_LARGE,
    UNSUPPORTED_CONTENT_TYPE,
    Refused,
    missing,
)
from doorward.identity.frontend_api import wire
from doorward.identity.frontend_api.views import sign_in_view, sign_up_view
from doorward.identity.resources.sessions import Session, SessionViews
from doorward.identity.resources.users import User
from doorward.identity.sessions.signed_in import SignedIn
from doorward.identity.uploads import media_type_of, read_encoded_upload, read_upload
from doorward.identity.visits import Visit

if TYPE_CHECKING:
    from doorward.identity.accounts.store import Account
    from doorward.identity.organizations.details import Membership
    from doorward.identity.services import Identity

MAX_BODY_BYTES = 64 * 1024
MAX_FIELDS = 100
_FORM = "application/x-www-form-urlencoded"


class Call(msgspec.Struct, frozen=True):
    """A request with its form read. Empty form values count as absent, as Clerk's SDK means them."""

    request: Request
    identity: Identity
    visit: Visit
    form: dict[str, str]
    pairs: Sequence[tuple[str, str]] = ()
    """The form as it came: what repeats is an array."""

    @property
    def now(self) -> int:
        return self.identity.clock()

    @property
    def views(self) -> SessionViews:
        return self.identity.views

    def param(self, name: str) -> str | None:
        return self.form.get(name) or None

    def choice(self, name: str) -> str | UnsetType | None:
        """A parameter whose emptiness says something: None where it came empty, `UNSET` where it did not come."""
        return self.param(name) if name in self.form else UNSET

    def require(self, name: str) -> str:
        """Raises Refused (422)."""
        value = self.param(name)
        if value is None:
            raise Refused(missing(name))
        return value

    def many(self, name: str) -> list[str]:
        """An array: a key repeated in the form, or in the address."""
        posted = [value for key, value in self.pairs if key == name and value]
        return posted or [value for value in self.request.query_params.getlist(name) if value]

    def paging(self) -> tuple[int, int]:
        """`limit` and `offset` of the address. Raises Refused (422)."""
        return self._count("limit", 10, least=1, most=500), self._count("offset", 0, least=0, most=2**31 - 1)

    def _count(self, name: str, default: int, *, least: int, most: int) -> int:
        text = self.request.query_params.get(name) or str(default)
        if not text.isascii() or not text.isdecimal() or not least <= int(text[:12]) <= most:
            raise Refused(FORM_PARAM_VALUE_INVALID.at(name))
        return int(text)

    async def upload(self) -> bytes:
        """The image a request brings. Raises Refused (400, 413, 415)."""
        if media_type_of(self.request) == "application/octet-stream":
            return await read_encoded_upload(self.request)
        return await read_upload(self.request)

    def flag(self, name: str, default: bool) -> bool:
        value = self.param(name)
        return default if value is None else value == "true"

    def path(self, name: str) -> str:
        return str(self.request.path_params[name])

    async def signed_in(self) -> SignedIn:
        """The session that `_clerk_session_id` names. Raises Refused (401)."""
        session_id = self.request.query_params.get("_clerk_session_id")
        return await self.identity.sessions.require(self.visit, session_id)

    # -- answers

    async def wrapped(self, resource: msgspec.Struct | Sequence[msgspec.Struct] | None) -> Response:
        """A reading answer: the client as it is."""
        return json(wire.Wrapped(resource, await self.client(self.visit.client_id)))

    async def changed(self, resource: msgspec.Struct | None, change: ClientChange) -> Response:
        """A changing answer: the client as it became, and its cookies."""
        response = json(wire.Wrapped(resource, await self.client(change.client_id)))
        self.identity.visits.write(response, change)
        return response

    async def client(self, client_id: str | None) -> wire.Client | None:
        """Clerk's Client, every session with a fresh token."""
        if client_id is None:
            return None
        identity, now = self.identity, self.now
        record = await identity.database.read(lambda tx: client_store.find(tx, client_id))
        if record is None:
            return None
        sign_in = await identity.sign_in.latest(client_id)
        sign_up = await identity.sign_up.latest(client_id)
        sessions = [
            await self.session(signed_in) for signed_in in await identity.sessions.of_client(client_id)
        ]
        return wire.Client(
            id=record.id,
            sessions=sessions,
            sign_in=None if sign_in is None else sign_in_view(sign_in, self.views.images, now),
            sign_up=None if sign_up is None else sign_up_view(sign_up, now),
            last_active_session_id=record.last_active_session_id,
            last_authentication_strategy=record.last_authentication_strategy,
            created_at=record.created_at,
            updated_at=record.updated_at,
        )

    async def error_meta(self, change: ClientChange) -> wire.ErrorMeta | None:
        """For a refusal that changed the client."""
        client = await self.client(change.client_id)
        return None if client is None else wire.ErrorMeta(client)

    async def session(self, signed_in: SignedIn) -> Session:
        try:
            jwt = self.identity.sessions.session_token(signed_in, self.visit.origin)
        except Refused:
            jwt = None  # the SDK then asks for a token, and learns why it gets none
        return self.views.session(signed_in, self.now, jwt, await self.memberships(signed_in.user_id))

    async def user(self, account: Account, last_active_at: int | None = None) -> User:
        memberships = await self.memberships(account.user.id)
        return self.views.user(account, self.now, last_active_at, memberships)

    async def memberships(self, user_id: str) -> Sequence[Membership]:
        if not self.identity.instance.current.organizations.enabled:
            return ()
        return (await self.identity.memberships.of_user(user_id))[0]

    async def session_changed(self, changed: Changed[SignedIn]) -> Response:
        return await self.changed(await self.session(changed.value), changed.client)


async def read_form(request: Request) -> list[tuple[str, str]]:
    """The form of a request, in order. Raises Refused: 413, 415, 400."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refused(REQUEST_BODY_TOO_LARGE)
    if not body:
        return []
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise Refused(UNSUPPORTED_CONTENT_TYPE)
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise Refused(REQUEST_BODY_INVALID) from error
    if any("\x00" in text for pair in pairs for text in pair):
        raise Refused(REQUEST_BODY_INVALID)  # PostgreSQL has no place for it
    return pairs
