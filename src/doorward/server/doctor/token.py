"""`doorward doctor token`: claim by claim, what Clerk's SDKs, Hasura and Triplit will make of a token.

Nothing here repeats the token. A signature is checked only where somebody gives the keys for it; what a token claims is
told either way, and said to be unchecked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

import msgspec

from doorward.identity.app import SCHEMA
from doorward.identity.signing_keys import store as signing_keys
from doorward.identity.templates import store as templates
from doorward.jose import KeySet, MalformedToken, verify_jws
from doorward.jose.compact import split_compact
from doorward.jose.errors import JoseError
from doorward.jose.strict_json import decode_object
from doorward.server.doctor.findings import Finding, ok, problem, warning
from doorward.store import open_database
from doorward.verify.hasura import AuthConfig, HasuraAuth, HasuraRefused, read_auth_config
from doorward.verify.hasura.auth_config import CookieLocation, HeaderLocation, JwtMode
from doorward.verify.triplit import TOKEN_TYPE, TriplitRefused, judge_key_text, matched_roles, read_token

LARGE_TOKEN = 4096  # characters: cookies, and many servers' headers, end about there
LONG_LIFE_SECONDS = 24 * 3600
CLERK_SKEW_SECONDS = 5
_SESSION, _TEMPLATE = "a session's token", "a JWT template's token"
_MACHINE, _OAUTH = "a machine's token", "an OAuth access token"
_CATEGORIES = {"cl_B7d4PD111AAA": _SESSION, "cl_B7d4PD222AAA": _TEMPLATE, "cl_B7d4PD333AAA": _MACHINE}
#: What Clerk's SDKs have to be told to accept, where it is no session.
_ACCEPTED_AS = {_MACHINE: "m2m_token", _OAUTH: "oauth_token"}


class Token(msgspec.Struct, frozen=True):
    """A token taken apart, its signature unchecked. `text` is the token."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    def __repr__(self) -> str:
        return "Token(…)"


class TemplateView(msgspec.Struct, frozen=True):
    """The template a token is said to be of."""

    name: str
    claims: Mapping[str, Any]
    has_own_key: bool


async def examine_token(
    text: str,
    *,
    now: int,
    database: str | None,
    template: str | None,
    hasura: str | None,
    triplit: str | None,
) -> list[Finding]:
    """Everything that can be said. `database` is the URL of the server whose keys and templates count; `hasura` the text
    of an AuthConfig, `triplit` that of `EXTERNAL_JWT_SECRET`. Raises StoreError, AuthConfigInvalid."""
    token = take_apart(text)
    if isinstance(token, Finding):
        return [token]
    found = list(examine_claims(token, now))
    if database is not None:
        found += await _examine_with_server(token, database, template)
    if hasura is not None:
        found += await examine_hasura(token, read_auth_config(hasura), now)
    if triplit is not None:
        found += examine_triplit(token, triplit, now)
    return found


async def _examine_with_server(token: Token, url: str, name: str | None) -> list[Finding]:
    database = await open_database(url, schemas=[SCHEMA])
    try:
        keys, record = await database.read(
            lambda tx: (signing_keys.everything(tx), name and templates.find_by_name(tx, name))
        )
    finally:
        await database.close()
    jwks = {"keys": [msgspec.json.decode(key.public_jwk.encode()) for key in keys]}
    if isinstance(record, templates.TemplateRecord):
        has_own_key = record.sealed_signing_key is not None
        view = TemplateView(record.name, msgspec.json.decode(record.claims.encode()), has_own_key)
        checked = [] if has_own_key else [examine_signature(token, KeySet.from_jwks(jwks))]
        return [*checked, *examine_template(token, view)]
    found = [examine_signature(token, KeySet.from_jwks(jwks))]
    if name:
        found.append(
            problem(
                "template",
                f"There is no template {name}.",
                why="Clients that ask for it get 404.",
                mend="Make it, or mend its name.",
            )
        )
    return found


def take_apart(text: str) -> Token | Finding:
    """The token, or what is wrong with its form."""
    try:
        header, payload, _, _ = split_compact(text)
        return Token(text, header, decode_object(payload))
    except MalformedToken as error:
        return problem(
            "form",
            f"This is not a JWT: {error}.",
            why="Everybody refuses it before looking at anything else.",
            mend="Give the whole token: three parts with two dots, without Bearer, quotes or line breaks.",
        )


def examine_claims(token: Token, now: int) -> Iterator[Finding]:
    """What holds whoever reads the token. `now` in seconds."""
    alg, kid = str(token.header["alg"]), token.header.get("kid")
    kind = _token_kind(token)
    key = f"key {kid}" if kid else "a key it does not name"
    if alg == "none":
        yield problem(
            "form",
            f"It is {kind}, and nobody signed it (alg is none).",
            why="Anybody can write such a token. Clerk's SDKs, Hasura and Triplit refuse it, and whoever takes it takes all.",
            mend="Have it made by a session or a JWT template. If something of yours took it, fix its algorithm there.",
        )
    else:
        yield ok("form", f"It is {kind}, signed with {alg} by {key}.")
    yield from _examine_size(token)
    yield from _examine_times(token.claims, now)
    yield _examine_subject(token.claims)
    yield _examine_issuer(token.claims)
    yield _examine_audience(token.claims)
    yield from _examine_nulls(token.claims)
    yield _examine_for_clerk(token, now)


def _token_kind(token: Token) -> str:
    """By what Clerk's SDKs go by: a machine's subject, the header's `typ` of OAuth, then its `cat`."""
    if str(token.claims.get("sub")).startswith("mch_"):
        return _MACHINE
    if token.header.get("typ") in ("at+jwt", "application/at+jwt"):
        return _OAUTH
    return _CATEGORIES.get(str(token.header.get("cat")), "a token of no known kind")


def _examine_size(token: Token) -> Iterator[Finding]:
    if len(token.text) <= LARGE_TOKEN:
        return
    biggest = max(token.claims, key=lambda name: len(msgspec.json.encode(token.claims[name])), default="")
    yield warning(
        "size",
        f"It has {len(token.text)} characters; {biggest} is its biggest claim.",
        why="Browsers drop larger cookies, and many servers refuse larger headers.",
        mend="Take out of the template what no rule reads.",
    )


def _examine_times(claims: Mapping[str, Any], now: int) -> Iterator[Finding]:
    exp, nbf, iat = (_time(claims.get(name)) for name in ("exp", "nbf", "iat"))
    if exp is None:
        yield problem(
            "exp",
            "It has no exp that is a number.",
            why="Hasura and Clerk's SDKs refuse it; Triplit takes it for ever.",
            mend="Have it made by a session or a JWT template, which always set exp.",
        )
    elif exp <= now:
        yield problem(
            "exp",
            f"It expired {now - int(exp)} s ago.",
            why=f"Triplit forgives no second, Clerk's SDKs {CLERK_SKEW_SECONDS} s, Hasura 60 s unless allowedSkew says otherwise. "
            "Hasura answers 400, so a client that refreshes at 401 never does.",
            mend="Ask for a fresh one before each connection, and compare the clocks of both machines.",
        )
    else:
        yield ok("exp", f"It expires in {int(exp) - now} s.")
        begun = now if iat is None else iat
        if exp - begun > LONG_LIFE_SECONDS:
            yield warning(
                "lifetime",
                f"It lives {int(exp - begun) // 3600} hours.",
                why="Whoever checks it offline cannot learn of a ban or a sign-out until it ends.",
                mend="Shorten the template's lifetime and let the client refresh.",
            )
    if nbf is not None and nbf > now:
        yield problem(
            "nbf",
            f"It is valid only in {int(nbf) - now} s.",
            why="Triplit and Clerk's SDKs refuse it until then; Hasura does not look.",
            mend="Compare the clocks of both machines.",
        )
    elif nbf is not None and iat is not None and iat - nbf < CLERK_SKEW_SECONDS:
        yield warning(
            "nbf",
            "Its nbf is not set back.",
            why="Triplit forgives no second: a server whose clock is behind refuses fresh tokens.",
            mend="Set the template's allowed_clock_skew to 5 seconds or more.",
        )
    if iat is not None and iat > now + CLERK_SKEW_SECONDS:
        yield problem(
            "iat",
            f"It was made {int(iat) - now} s in the future.",
            why="Clerk's SDKs refuse it.",
            mend="Compare the clocks of both machines.",
        )


def _examine_subject(claims: Mapping[str, Any]) -> Finding:
    subject = claims.get("sub")
    if isinstance(subject, str) and subject:
        return ok("sub", f"It is about {subject}.")
    return problem(
        "sub",
        "Its sub is not a text with something in it.",
        why="Clerk's SDKs refuse it. Triplit captures null or an empty text where a role reads sub, and rules then match rows that belong to nobody.",
        mend="Never make tokens without a user's id in sub.",
    )


def _examine_issuer(claims: Mapping[str, Any]) -> Finding:
    issuer = claims.get("iss")
    if isinstance(issuer, str) and issuer and not issuer.endswith("/"):
        return ok(
            "iss",
            f"It says it is from {issuer}. Hasura compares that where issuer is configured; Triplit and Clerk's SDKs never do.",
        )
    return warning(
        "iss",
        "Its iss is absent, no text, or ends in a slash.",
        why="Where an issuer is compared, it is compared to the letter; where the token has none, Hasura lets it pass.",
        mend="Use the accounts origin without a slash at its end, on both sides.",
    )


def _examine_audience(claims: Mapping[str, Any]) -> Finding:
    if claims.get("aud"):
        return ok(
            "aud",
            f"It is for {_listed(claims['aud'])}. Clerk's SDKs compare that where audience is configured, and Hasura needs it configured; Triplit never looks.",
        )
    return warning(
        "aud",
        "It names no audience.",
        why="Every service that trusts this key takes it, also one it was never meant for: Hasura lets tokens without aud pass even where audience is configured.",
        mend='Give the template an "aud" of the service\'s own, and configure it there. Triplit never looks: give it a key of its own.',
    )


def _examine_nulls(claims: Mapping[str, Any]) -> Iterator[Finding]:
    nulls = sorted(_null_paths(claims))
    if nulls:
        yield warning(
            "null",
            f"These claims are null: {', '.join(nulls)}.",
            why="In Triplit a rule that reads one matches every row whose column is empty, and a role that reads below one ends the request; Hasura takes no default for it.",
            mend="Give the shortcode a default with ||, or leave the claim out.",
        )


def _null_paths(value: object, path: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, member in value.items():
            where = f"{path}.{name}" if path else str(name)
            if member is None:
                yield where
            yield from _null_paths(member, where)


def _examine_for_clerk(token: Token, now: int) -> Finding:
    kind, alg = _token_kind(token), str(token.header["alg"])
    if alg == "none":
        return problem(
            "clerk",
            "Clerk's SDKs refuse none (token-invalid-algorithm).",
            why="It carries no signature to verify.",
            mend="Send a signed token.",
        )
    if alg not in ("RS256", "RS384", "RS512"):
        return warning(
            "clerk",
            f"Clerk's SDKs refuse {alg} (token-invalid-algorithm).",
            why="They verify RSA signatures only.",
            mend="That is as it should be for a template with a key of its own: its reader is another.",
        )
    if accepted := _ACCEPTED_AS.get(kind):
        return warning(
            "clerk",
            "Clerk's SDKs do not take it for a session (token-type-mismatch).",
            why=f"It is {kind}.",
            mend=f'Let the back end accept it: acceptsToken: "{accepted}".',
        )
    if kind == _TEMPLATE:
        return warning(
            "clerk",
            "Clerk's SDKs do not take it for a session (token-type-mismatch).",
            why="It is a template's token: it is meant for another service.",
            mend="Send the session's own token to back ends that use Clerk's SDKs, or verify this one by its audience.",
        )
    if "sid" not in token.claims:
        return warning(
            "clerk",
            "It names no session.",
            why="Clerk's SDKs make a user without a session of it.",
            mend="Send the session's own token.",
        )
    if token.claims.get("sts") == "pending":
        return warning(
            "clerk",
            "Its session is pending.",
            why="Clerk's SDKs treat it as signed out unless they are told otherwise.",
            mend="Let the person finish what the session still asks for.",
        )
    party = token.claims.get("azp")
    told = f"from {party}" if party else "from no origin that authorizedParties could be compared with"
    return ok("clerk", f"Clerk's SDKs take it for a session, {told}.")


def examine_signature(token: Token, keys: KeySet) -> Finding:
    """Against the keys an installation publishes."""
    try:
        verify_jws(token.text, keys)
    except JoseError as error:
        return problem(
            "signature",
            f"It is not signed by this installation: {error}.",
            why="Whoever fetches this installation's keys refuses it.",
            mend="Look at iss: is it this installation's? Was its key retired? A template with a key of its own signs with that.",
        )
    return ok("signature", "It is signed by a key that this installation publishes.")


def examine_template(token: Token, template: TemplateView) -> Iterator[Finding]:
    """Whether it is a token of this template, and what of the template came out empty."""
    missing = sorted(template.claims.keys() - token.claims.keys())
    empty = sorted(name for name in template.claims if name in token.claims and token.claims[name] is None)
    if missing or _token_kind(token) != _TEMPLATE:
        yield problem(
            "template",
            f"It is not a token of the template {template.name} as it is now"
            + (f": it lacks {', '.join(missing)}." if missing else "."),
            why="Rules that read those claims find nothing.",
            mend=f'Ask for it with getToken({{template: "{template.name}", skipCache: true}}): older ones are kept for a while.',
        )
    elif empty:
        yield warning(
            "template",
            f"Shortcodes of {template.name} gave null: {', '.join(empty)}.",
            why="This user does not have what they read.",
            mend="Give them a default with ||, or set the user's metadata.",
        )
    else:
        yield ok("template", f"It has every claim of the template {template.name}.")
    if template.has_own_key:
        yield warning(
            "template_key",
            f"The template {template.name} signs with a key of its own.",
            why="No key set publishes it: who verifies by URL refuses the token.",
            mend="Configure that key at its reader, or let the instance's key sign.",
        )


async def examine_hasura(token: Token, config: AuthConfig, now: int) -> list[Finding]:
    """What the engine would make of a request with this token."""
    found = [
        warning(
            "hasura_config",
            told,
            why="The engine accepts more than was meant.",
            mend="Change the AuthConfig.",
        )
        for told in config.warnings
    ]
    mode = config.mode
    if not isinstance(mode, JwtMode):
        return [*found, ok("hasura", "The primary mode of this AuthConfig reads no tokens.")]
    try:
        session = await HasuraAuth(config, clock=lambda: now).resolve(_carried(token, mode))
    except HasuraRefused as refused:
        found.append(
            problem(
                "hasura",
                f"Hasura refuses it with {refused.status} ({refused.code}): {refused}",
                why="No query runs at all.",
                mend="Mend the claim or the AuthConfig it names; docs/data-layers.md has both sides.",
            )
        )
        return found
    kinds = ", ".join(
        f"{name} ({_kind(value)})" for name, value in session.variables.items() if name != "x-hasura-role"
    )
    found.append(ok("hasura", f"Hasura takes it: role {session.role}, variables {kinds or 'none'}."))
    return found


def _carried(token: Token, mode: JwtMode) -> dict[str, str]:
    match mode.token_location:
        case HeaderLocation(name=name):
            return {name: token.text}
        case CookieLocation(name=name):
            return {"cookie": f"{name}={token.text}"}
        case _:
            return {"authorization": f"Bearer {token.text}"}


def examine_triplit(token: Token, key_text: str, now: int) -> Iterator[Finding]:
    """`key_text` is what `EXTERNAL_JWT_SECRET` holds."""
    judged = judge_key_text(key_text)
    if judged.verdict in ("broken", "forgeable"):
        yield problem(
            "triplit_key",
            judged.why,
            why="Anybody who can read that text can make tokens for every user."
            if judged.verdict == "forgeable"
            else "Every request ends in an error of the server.",
            mend="Set EXTERNAL_JWT_SECRET to what `doorward keys export --pem` prints: one line, no quotes, no blanks.",
        )
    elif judged.verdict == "secret":
        yield warning(
            "triplit_key",
            judged.why,
            why="A server that leaks it lets others make tokens.",
            mend="Use the public key that `doorward keys export --pem` prints.",
        )
    else:
        yield warning(
            "triplit_key",
            f"{judged.why} Triplit knows this one only.",
            why="When the signing key is rotated, Triplit refuses every token until it is given the new key and restarted; and it looks at neither iss nor aud.",
            mend="Rotate signing keys together with Triplit's setting, and let nothing else trust this instance's key.",
        )
    try:
        read = read_token(token.text, external_jwt_secret=key_text, now=now)
        roles = matched_roles(read.claims)
    except TriplitRefused as refused:
        yield problem(
            "triplit",
            f"Triplit refuses it with {refused.status} ({refused.name}): {refused}",
            why="The client's onSessionError says UNAUTHORIZED, after the socket was already open.",
            mend="Mend the key text first, then the claim.",
        )
        return
    if TOKEN_TYPE in token.claims:
        yield warning(
            "triplit_type",
            f"It carries {TOKEN_TYPE}.",
            why="Triplit decides by it which key counts, and who is an administrator.",
            mend="No user's token should carry it.",
        )
    yield ok("triplit", f"Triplit takes it; of its default roles it has: {', '.join(roles) or 'none'}.")


def _time(value: object) -> float | None:
    """A NumericDate in seconds; None for what is none."""
    return (
        value if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) else None
    )


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case _:
            return "object"
