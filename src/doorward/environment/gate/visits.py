"""Who is visiting a service host: the session cookie of a browser, or a program's proof of possession."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from doorward.environment.gate.errors import Refusal
from doorward.environment.gate.headers import SESSION_COOKIE, only_cookie_value
from doorward.environment.gate.rules import has_header, is_foreign_to_cookie, is_opaque_secret, only_header
from doorward.environment.sessions.authentication import AuthenticationFailed
from doorward.http1 import RequestHead

if TYPE_CHECKING:
    from doorward.environment.environment import Environment

AUTHORIZATION = b"doorward-authorization"
PROOF = b"doorward-dpop"
_SCHEME = "DPoP "
_MAX_PROOF = 8192  # characters, as the relay's


class Visit(msgspec.Struct, frozen=True):
    """A visitor with a living session at this machine."""

    session_id: str
    account: str
    thumbprint: str
    session_expires_at: int  # milliseconds
    expires_at: int
    """When what was shown ends, in milliseconds: the cookie's end, or the session's."""


def bears_proof(head: RequestHead) -> bool:
    """Does the request come with a proof, good or bad?

    Then it is judged by it alone: falling back to a cookie would let a program that holds a revoked token go on as
    whoever the browser is.
    """
    return has_header(head.headers, AUTHORIZATION) or has_header(head.headers, PROOF)


async def visit_by_proof(environment: Environment, head: RequestHead, *, own_origin: str) -> Visit | Refusal:
    """The visit a program proves, or why it proves none."""
    authorization = (only_header(head.headers, AUTHORIZATION) or b"").decode("latin-1")
    proof = (only_header(head.headers, PROOF) or b"").decode("latin-1")
    if not authorization.startswith(_SCHEME) or not 0 < len(proof) <= _MAX_PROOF:
        return Refusal.INVALID_CREDENTIAL
    try:
        session = await environment.authentication.verify_dpop(
            authorization.removeprefix(_SCHEME),
            proof,
            method=head.method.decode("latin-1"),
            url=own_origin + head.path.decode("latin-1"),
        )
    except AuthenticationFailed:
        return Refusal.INVALID_CREDENTIAL
    if session.thumbprint is None:
        return Refusal.INVALID_CREDENTIAL
    return Visit(
        session_id=session.id,
        account=session.cloud_user_id or session.subject,
        thumbprint=session.thumbprint,
        session_expires_at=session.expires_at,
        expires_at=session.expires_at,
    )


async def visit_by_cookie(
    environment: Environment, head: RequestHead, *, service_host: str, own_origin: str
) -> Visit | Refusal:
    """The visit a browser's cookie stands for, or why it stands for none."""
    cookie = only_cookie_value(head.headers, SESSION_COOKIE)
    if cookie is None or not is_opaque_secret(cookie):
        return Refusal.SIGN_IN_REQUIRED
    if is_foreign_to_cookie(head.method, head.headers, is_upgrade=head.is_upgrade, own_origin=own_origin):
        return Refusal.FOREIGN_ORIGIN
    visitor = await environment.children.authorise_cookie(cookie, service_host)
    if visitor is None:
        return Refusal.SIGN_IN_REQUIRED
    return Visit(
        session_id=visitor.session_id,
        account=visitor.cloud_user_id or visitor.subject,
        thumbprint=visitor.thumbprint,
        session_expires_at=visitor.session_expires_at,
        expires_at=visitor.expires_at,
    )
