"""A table of requests to judge: every kind of token under every kind of acceptance, and browsers' cookies in product.

Each case is what both SDKs need, ours and `@clerk/backend`; the expected verdict is not in it, since the other SDK's is
the expectation.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator
from functools import cache
from hashlib import sha1
from typing import Any

import msgspec

from doorward.jose import PrivateKey, b64url_encode, generate_key, sign_jwt
from doorward.verify import Authenticator
from tests.verify.backend_wire import MACHINE_KEY, SECRET_KEY, BackendWire, m2m_token

NOW = 1_800_000_000
FRONTEND_API = "clerk.example.com"
ISSUER = f"https://{FRONTEND_API}"
SESSION, TEMPLATE, M2M = "cl_B7d4PD111AAA", "cl_B7d4PD222AAA", "cl_B7d4PD333AAA"
IGNORED = "cl_I7d4PD111III"
BROWSER = {"sec-fetch-dest": "document", "accept": "text/html"}
FETCH = {"sec-fetch-dest": "empty", "accept": "*/*"}
PAGE = "https://app.example.com/orders?page=2&q=a%20b"


def publishable_key(prefix: str) -> str:
    return prefix + base64.b64encode(f"{FRONTEND_API}$".encode()).decode().rstrip("=")


LIVE, TEST = publishable_key("pk_live_"), publishable_key("pk_test_")


def suffix(key: str) -> str:
    return base64.urlsafe_b64encode(sha1(key.encode()).digest()).decode()[:8]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    headers: dict[str, str] = {}
    method: str = "GET"
    url: str = PAGE
    key: str = LIVE
    accepts: Any = "session_token"
    options: dict[str, Any] = {}
    asked: tuple[dict[str, Any], ...] = ()


class Tokens:
    """Tokens of every kind, each named for what is odd about it."""

    def __init__(self) -> None:
        self.key: PrivateKey = generate_key("RS256", kid="ins_1")
        self.stranger: PrivateKey = generate_key("RS256", kid="ins_1")
        self.unknown: PrivateKey = generate_key("RS256", kid="ins_9")
        self.table = cache(self._table)  # eighty signatures

    def session(
        self, *, cat: str | None = SESSION, typ: str | None = "JWT", key: Any = None, **changes: Any
    ) -> str:
        claims = {
            "iss": ISSUER, "sub": "user_1", "sid": "sess_1", "iat": NOW - 5, "nbf": NOW - 15, "exp": NOW + 55,
            "azp": "https://app.example.com", "fva": [12, -1], "v": 2,
        }  # fmt: skip
        claims = {name: value for name, value in (claims | changes).items() if value is not ...}
        header = {"cat": cat} if cat else {}
        if typ is not None:
            return sign_jwt(claims, key or self.key, typ=typ, header=header)
        head = msgspec.json.encode({"alg": "RS256", "kid": self.key.kid} | header)
        signed = f"{b64url_encode(head)}.{b64url_encode(msgspec.json.encode(claims))}"
        return f"{signed}.{b64url_encode(self.key.sign(signed.encode()))}"

    def _table(self) -> dict[str, str]:
        good = self.session()
        head, body, signature = good.split(".")
        none = b64url_encode(b'{"alg":"none","typ":"JWT","kid":"ins_1"}')
        hs = b64url_encode(b'{"alg":"HS256","typ":"JWT","kid":"ins_1"}')
        org = {"id": "org_1", "slg": "acme", "rol": "admin", "per": "read,manage", "fpm": "3,2"}
        return {
            "good": good,
            "expired 4 s ago": self.session(exp=NOW - 4),
            "expired 5 s ago": self.session(exp=NOW - 5),
            "expired 6 s ago": self.session(exp=NOW - 6),
            "active in 4 s": self.session(nbf=NOW + 4),
            "active in 6 s": self.session(nbf=NOW + 6),
            "issued in 6 s": self.session(iat=NOW + 6),
            "exp missing": self.session(exp=...),
            "exp a string": self.session(exp="soon"),
            "nbf a string": self.session(nbf="now"),
            "iat a string": self.session(iat="now"),
            "iat and nbf missing": self.session(iat=..., nbf=...),
            "exp a fraction": self.session(exp=NOW - 4.5),
            "sub missing": self.session(sub=...),
            "sub a number": self.session(sub=7),
            "pending": self.session(sts="pending"),
            "active": self.session(sts="active"),
            "actor": self.session(act={"sub": "user_2", "iss": ISSUER, "sid": "sess_2"}),
            "v2 organization": self.session(o=org, fea="o:orders,o:reports,u:beta", pla="o:pro,u:free"),
            "v2 mixed features": self.session(o=org, fea="u:beta,ou:orders,o:reports"),
            "v2 many permissions": self.session(
                o=org | {"per": ",".join(f"p{n}" for n in range(70)), "fpm": str(2**69 + 5)}, fea="o:wide"
            ),
            "v2 broken masks": self.session(o=org | {"fpm": "x,2"}, fea="o:orders,o:reports"),
            "v2 no role": self.session(o={"id": "org_1", "slg": "acme"}),
            "v1 organization": self.session(
                v=...,
                org_id="org_1",
                org_slug="acme",
                org_role="org:admin",
                org_permissions=["org:orders:read"],
            ),
            "no category": self.session(cat=None),
            "ignored category": self.session(cat=IGNORED),
            "template": self.session(cat=TEMPLATE),
            "invented category": self.session(cat="cl_other"),
            "machine category": self.session(cat=M2M),
            "no typ": self.session(typ=None),
            "odd typ": self.session(typ="other"),
            "other azp": self.session(azp="https://evil.example"),
            "no azp": self.session(azp=...),
            "aud ours": self.session(aud="api"),
            "aud list": self.session(aud=["other", "api"]),
            "aud other": self.session(aud="other"),
            "aud others": self.session(aud=["x", "y"]),
            "aud empty": self.session(aud=""),
            "forged": self.session(key=self.stranger),
            "unknown kid": self.session(key=self.unknown),
            "no kid": sign_jwt({"sub": "user_1", "exp": NOW + 60}, generate_key("RS256"), typ="JWT"),
            "alg none": f"{none}.{body}.",
            "alg HS256": f"{hs}.{body}.{signature}",
            "changed body": f"{head}.{body[:-4]}AAAA.{signature}",
            "two parts": f"{head}.{body}",
            "five parts": good + ".x.y",
            "not JSON": "aaaa.bbbb.cccc",
            "a word": "nonsense",
            "m2m opaque": "mt_good",
            "m2m unknown": "mt_unknown",
            "oauth opaque": "oat_good",
            "oauth unknown": "oat_unknown",
            "oauth for api": "oat_api",
            "api key": "ak_user",
            "api key of an organization": "ak_org",
            "api key unknown": "ak_unknown",
            "m2m jwt": self.machine(),
            "m2m jwt with scopes": self.machine(scopes="mch_b mch_c", extra={"role": "x"}),
            "m2m jwt aud list": self.machine(aud=["mch_b"]),
            "m2m jwt expired": self.machine(exp=NOW - 60),
            "m2m jwt no category": self.machine(cat=None),
            "m2m jwt session category": self.machine(cat=SESSION),
            "m2m jwt forged": self.machine(key=self.stranger),
            "m2m jwt odd typ": self.machine(typ="at+jwt"),
            "oauth jwt": self.oauth(),
            "oauth jwt scp": self.oauth(scope=..., scp=["a", "b"]),
            "oauth jwt long typ": self.oauth(typ="application/at+jwt"),
            "oauth jwt for api": self.oauth(aud="api"),
            "oauth jwt for another": self.oauth(aud=["other"]),
            "oauth jwt expired": self.oauth(exp=NOW - 60),
            "oauth jwt forged": self.oauth(key=self.stranger),
        }

    def machine(
        self, *, cat: str | None = M2M, typ: str = "JWT", key: Any = None, extra: Any = None, **changes: Any
    ) -> str:
        claims = {"iss": ISSUER, "sub": "mch_a", "jti": "mt_1", "iat": NOW - 5, "exp": NOW + 55}
        return sign_jwt(
            claims | (extra or {}) | changes, key or self.key, typ=typ, header={"cat": cat} if cat else {}
        )

    def oauth(self, *, typ: str = "at+jwt", key: Any = None, **changes: Any) -> str:
        claims = {
            "iss": ISSUER, "sub": "user_1", "jti": "oat_1", "client_id": "cli", "scope": "openid email",
            "iat": NOW - 5, "exp": NOW + 55,
        }  # fmt: skip
        kept = {name: value for name, value in (claims | changes).items() if value is not ...}
        return sign_jwt(kept, key or self.key, typ=typ)


def fill(wire: BackendWire, tokens: Tokens) -> None:
    """What the Backend API knows of the opaque tokens, nonces and refreshes in the table."""
    wire.m2m["mt_good"] = m2m_token("mt_id", claims={"role": "reader"})
    common = {
        "revoked": False,
        "expired": False,
        "revocation_reason": None,
        "expiration": None,
        "claims": None,
    }
    times = {"created_at": NOW * 1000, "updated_at": NOW * 1000}
    for text, subject in (("ak_user", "user_1"), ("ak_org", "org_1")):
        wire.api_keys[text] = common | times | {
            "object": "api_key", "id": "ak_id", "type": "api_key", "subject": subject, "name": "CI",
            "scopes": ["read"], "description": None, "last_used_at": None, "created_by": None,
        }  # fmt: skip
    oauth = common | times | {"object": "clerk_idp_oauth_access_token", "id": "oat_id", "client_id": "cli",
                              "type": "oauth_token", "subject": "user_1", "scopes": ["openid"]}  # fmt: skip
    wire.oauth["oat_good"] = oauth
    wire.oauth["oat_api"] = oauth | {"aud": ["api"]}
    fresh = tokens.session(iat=NOW, sid="sess_1")
    wire.nonces["good"] = [f"__session={fresh}; Path=/", "__client_uat=1; Path=/"]
    wire.nonces["out"] = ["__session=; Path=/; Max-Age=0", "__client_uat=0; Path=/"]
    wire.refreshes["sess_1"] = [f"__session={fresh}; Path=/; Secure"]
    wire.refreshes["sess_bad"] = [f"__session={tokens.session(key=tokens.stranger)}; Path=/"]


def cases(tokens: Tokens) -> list[Case]:
    made = [
        *_bearers(tokens),
        *_headers(tokens),
        *_claims(tokens),
        *_cookies(tokens),
        *_handshakes(tokens),
        *_refreshes(tokens),
        *_navigations(tokens),
        *_authorization(tokens),
    ]
    assert len({case.name for case in made}) == len(made)
    return made


def _bearers(tokens: Tokens) -> Iterator[Case]:
    accepts: tuple[Any, ...] = (
        "session_token", "m2m_token", "oauth_token", "api_key", "any",
        ["session_token", "api_key"], ["m2m_token"], ["oauth_token", "m2m_token"],
    )  # fmt: skip
    for (name, token), accepted in itertools.product(tokens.table().items(), accepts):
        for kind, headers in (("fetch", FETCH), ("page", BROWSER)):
            if kind == "page" and accepted != "session_token":
                continue
            yield Case(
                name=f"bearer {name}, accepts {accepted}, {kind}",
                headers={"authorization": f"Bearer {token}", **headers},
                accepts=accepted,
            )
    for accepted in accepts:
        yield Case(name=f"nothing, accepts {accepted}", headers=FETCH, accepts=accepted)
        yield Case(
            name=f"cookie only, accepts {accepted}",
            headers=FETCH | {"cookie": f"__session={tokens.session()}; __client_uat={NOW - 60}"},
            accepts=accepted,
        )


def _headers(tokens: Tokens) -> Iterator[Case]:
    good = tokens.session()
    for name, value in {
        "no scheme": good,
        "lower-case scheme": f"bearer {good}",
        "another scheme": f"Basic {good}",
        "something after": f"Bearer {good} more",
        "two blanks": f"Bearer  {good}",
        "a word": "Bearer",
    }.items():
        yield Case(name=f"authorization, {name}", headers={"authorization": value})


def _claims(tokens: Tokens) -> Iterator[Case]:
    options: dict[str, dict[str, Any]] = {
        "audience": {"audience": "api"},
        "audiences": {"audience": ["api", "web"]},
        "parties": {"authorizedParties": ["https://app.example.com"]},
        "no parties": {"authorizedParties": []},
        "no skew": {"clockSkewInMs": 1},
        "issuer": {"issuer": ISSUER},
        "other issuer": {"issuer": "https://other.example"},
        "networkless": {"jwtKey": tokens.key.public.to_pem()},
    }
    names = (
        "good", "aud ours", "aud list", "aud other", "aud others", "aud empty", "other azp", "no azp",
        "expired 4 s ago", "unknown kid", "forged", "oauth jwt", "oauth jwt for api", "oauth jwt for another",
        "m2m jwt", "m2m jwt aud list", "oauth opaque", "oauth for api",
    )  # fmt: skip
    table = tokens.table()
    for (told, given), name in itertools.product(options.items(), names):
        for accepted in ("session_token", "any"):
            yield Case(
                name=f"{told}: {name}, accepts {accepted}",
                headers={"authorization": f"Bearer {table[name]}"},
                options=given,
                accepts=accepted,
            )


def _cookies(tokens: Tokens) -> Iterator[Case]:
    table = tokens.table()
    older = tokens.session(iat=NOW - 300, exp=NOW + 55)
    sessions = {"none": None, "good": table["good"], "older": older, "foreign": tokens.session(iss="https://clerk.other.dev"),
                "no issuer": tokens.session(iss=...), "expired": tokens.session(exp=NOW - 60, iat=NOW - 120)}  # fmt: skip
    uats = {"none": None, "0": "0", "before": str(NOW - 400), "between": str(NOW - 100)}
    for key, (kind, headers) in itertools.product((LIVE, TEST), (("page", BROWSER), ("fetch", FETCH))):
        browser = "__clerk_db_jwt=dvb_1; " if key == TEST else ""
        product = itertools.product(sessions, uats, ("none", "good", "expired"), ("none", "0", "before"))
        for plain, uat, suffixed, suffixed_uat in product:
            if kind == "fetch" and (suffixed != "none" or suffixed_uat != "none"):
                continue
            pairs = {
                "__session": sessions[plain],
                "__client_uat": uats[uat],
                f"__session_{suffix(key)}": sessions[suffixed],
                f"__client_uat_{suffix(key)}": uats[suffixed_uat],
                f"__clerk_db_jwt_{suffix(key)}": "dvb_2" if key == TEST else None,
            }
            cookie = browser + "; ".join(f"{n}={v}" for n, v in pairs.items() if v is not None)
            yield Case(
                name=f"{key[:7]} {kind}: session {plain}, uat {uat}, suffixed {suffixed}, suffixed uat {suffixed_uat}",
                headers=headers | {"cookie": cookie},
                key=key,
            )
    for name in ("template", "m2m jwt", "oauth jwt", "a word", "two parts", "forged", "pending", "odd typ", "active in 6 s",
                 "issued in 6 s", "iat a string", "m2m opaque", "sub missing"):  # fmt: skip
        yield Case(
            name=f"cookie {name}",
            headers=BROWSER | {"cookie": f"__session={table[name]}; __client_uat={NOW - 400}"},
        )


def _handshakes(tokens: Tokens) -> Iterator[Case]:
    fresh = tokens.session(iat=NOW)
    payloads = {
        "good": [f"__session={fresh}; Path=/; Secure", "__client_uat=5; Path=/"],
        "suffixed last": [f"__session={fresh}", f"__session_{suffix(LIVE)}={fresh}; Path=/"],
        "signed out": ["__session=; Path=/; Max-Age=0", "__client_uat=0"],
        "forged session": [f"__session={tokens.session(key=tokens.stranger)}; Path=/"],
        "slow clock": [f"__session={tokens.session(iat=NOW + 600, nbf=NOW + 600, exp=NOW + 660)}; Path=/"],
        "a day late": [f"__session={tokens.session(exp=NOW - 90_000)}; Path=/"],
        "empty": [],
    }
    texts = {name: sign_jwt({"handshake": given}, tokens.key, typ="JWT") for name, given in payloads.items()}
    texts["with category"] = sign_jwt(
        {"handshake": payloads["good"]}, tokens.key, typ="JWT", header={"cat": SESSION}
    )
    texts["of a template"] = sign_jwt(
        {"handshake": payloads["good"]}, tokens.key, typ="JWT", header={"cat": TEMPLATE}
    )
    texts["forged"] = sign_jwt({"handshake": payloads["good"]}, tokens.stranger, typ="JWT")
    texts["not a list"] = sign_jwt({"handshake": "x"}, tokens.key, typ="JWT")
    texts["a word"] = "nonsense"
    for key, (name, text) in itertools.product((LIVE, TEST), texts.items()):
        yield Case(
            name=f"handshake {name} in the address, {key[:7]}",
            url=f"{PAGE}&__clerk_handshake={text}&__clerk_help=1&__clerk_db_jwt=dvb_3",
            headers=BROWSER,
            key=key,
        )
        yield Case(
            name=f"handshake {name} in a cookie, {key[:7]}",
            headers=BROWSER | {"cookie": f"__clerk_handshake={text}; __clerk_db_jwt=dvb_1"},
            key=key,
        )
    for key, nonce in itertools.product((LIVE, TEST), ("good", "out", "unknown")):
        yield Case(
            name=f"handshake nonce {nonce}, {key[:7]}",
            url=f"{PAGE}&__clerk_handshake_nonce={nonce}",
            headers=BROWSER,
            key=key,
        )


def _refreshes(tokens: Tokens) -> Iterator[Case]:
    for sid, method in itertools.product(("sess_1", "sess_bad", "sess_unknown", ...), ("GET", "POST")):
        expired = tokens.session(exp=NOW - 60, iat=NOW - 120, sid=sid)
        for kind, headers in (("page", BROWSER), ("fetch", FETCH)):
            cookie = f"__session={expired}; __client_uat={NOW - 400}; __refresh_{suffix(LIVE)}=rt_1"
            yield Case(
                name=f"refresh of {sid}, {method} {kind}", method=method, headers=headers | {"cookie": cookie}
            )


def _navigations(tokens: Tokens) -> Iterator[Case]:
    stale = f"__client_uat={NOW - 10}"
    signed_in = f"__session={tokens.session()}; __client_uat={NOW - 400}"
    kinds: dict[str, dict[str, str]] = {
        "iframe": {"sec-fetch-dest": "iframe"},
        "html, no fetch metadata": {"accept": "text/html,application/xhtml+xml"},
        "json, no fetch metadata": {"accept": "application/json"},
        "image": {"sec-fetch-dest": "image", "accept": "text/html"},
        "second": BROWSER | {"count": "1"},
        "fourth": BROWSER | {"count": "3"},
        "fifth": BROWSER | {"count": "4"},
        "count a word": BROWSER | {"count": "x"},
    }
    for key, (name, given) in itertools.product((LIVE, TEST), kinds.items()):
        headers = dict(given)
        count = headers.pop("count", None)
        cookie = stale + (f"; __clerk_redirect_count={count}" if count else "")
        yield Case(name=f"navigation {name}, {key[:7]}", headers=headers | {"cookie": cookie}, key=key)
    for method in ("POST", "HEAD"):
        yield Case(name=f"navigation {method}", method=method, headers=BROWSER | {"cookie": stale})
    forwarded: dict[str, dict[str, str]] = {
        "host": {"x-forwarded-host": "shop.example.org"},
        "both": {"x-forwarded-host": "shop.example.org, inner", "x-forwarded-proto": "http,https"},
        "port": {"x-forwarded-host": "shop.example.org:8443", "x-forwarded-proto": "https"},
        "default port": {"x-forwarded-host": "shop.example.org:443"},
        "plain host": {"host": "inner.example:3000"},
    }
    for name, headers in forwarded.items():
        yield Case(name=f"forwarded {name}", headers=BROWSER | headers | {"cookie": stale})
    for url in (
        "https://app.example.com",
        "https://app.example.com/?",
        "https://app.example.com/a%20b/%E2%82%AC?x=~*-._'()&y=%C3%A9&x=2",
        "https://app.example.com/?empty=&__clerk_db_jwt=dvb_9&__dev_session=old",
        "http://127.0.0.1:8000/path",
    ):
        for key in (LIVE, TEST):
            yield Case(
                name=f"address {url}, {key[:7]}", url=url, headers=BROWSER | {"cookie": stale}, key=key
            )
    for referrer in (
        "https://app.example.com/other", "https://elsewhere.example/", f"https://{FRONTEND_API}/x",
        "https://accounts.example.com/sign-in", "https://foo.accounts.dev/", "not an address",
    ):  # fmt: skip
        for key, count in itertools.product((LIVE, TEST), (0, 1)):
            cookie = f"{signed_in}; __clerk_db_jwt=dvb_1; __clerk_redirect_count={count}"
            yield Case(
                name=f"referrer {referrer}, {key[:7]}, redirected {count}",
                headers=BROWSER | {"cookie": cookie, "referer": referrer},
                key=key,
            )
    for cookie in (
        '__session="quoted"',
        "__client_uat=12abc",
        "__client_uat=%31%32",
        "a; b=c; __client_uat=7",
        "=x; __client_uat=9",
    ):
        yield Case(name=f"cookie text {cookie}", headers=BROWSER | {"cookie": cookie})
    yield Case(name="development without a browser's identity", headers=BROWSER, key=TEST)
    yield Case(name="development, fetch", headers=FETCH, key=TEST)


QUESTIONS: tuple[dict[str, Any], ...] = (
    {}, {"role": "admin"}, {"role": "org:admin"}, {"role": "org:org:admin"}, {"role": "member"},
    {"permission": "orders:read"}, {"permission": "org:orders:manage"}, {"permission": "org:reports:read"},
    {"permission": "org:reports:manage"}, {"role": "admin", "permission": "org:orders:read"},
    {"role": "member", "permission": "org:orders:read"},
    {"feature": "orders"}, {"feature": "o:orders"}, {"feature": "org:orders"}, {"feature": "u:orders"},
    {"feature": "user:beta"}, {"feature": "beta"}, {"feature": "x:beta"}, {"feature": "org:"},
    {"plan": "pro"}, {"plan": "u:free"}, {"plan": "organization:free"}, {"plan": "pro", "feature": "absent"},
    {"reverification": "strict"}, {"reverification": "moderate"}, {"reverification": "lax"},
    {"reverification": "strict_mfa"}, {"reverification": "invented"},
    {"reverification": {"level": "first_factor", "afterMinutes": 13}},
    {"reverification": {"level": "first_factor", "afterMinutes": 12}},
    {"reverification": {"level": "second_factor", "afterMinutes": 5}},
    {"reverification": {"level": "multi_factor", "afterMinutes": 30}},
    {"reverification": {"level": "multi_factor", "afterMinutes": 0}},
    {"reverification": {"level": "zeroth_factor", "afterMinutes": 10}},
)  # fmt: skip


def _authorization(tokens: Tokens) -> Iterator[Case]:
    table = tokens.table()
    asking = {
        name: table[name]
        for name in (
            "good",
            "v2 organization",
            "v2 mixed features",
            "v1 organization",
            "v2 no role",
            "pending",
            "m2m jwt",
        )
    }
    org = {"id": "org_1", "slg": "acme", "rol": "admin", "per": "read", "fpm": "1"}
    asking["plan without scope"] = tokens.session(pla="pro", o=org, fea="o:orders")
    ages: tuple[Any, ...] = ([-1, -1], [3, 3], [30, 3], [3, 30], [-1, 3], [3, -1], [3], ["3", 3], [0, 0], ...)
    asking |= {f"ages {age}": tokens.session(fva=age) for age in ages}
    for name, token in asking.items():
        yield Case(
            name=f"has, {name}",
            headers={"authorization": f"Bearer {token}"},
            accepts="any",
            asked=QUESTIONS,
        )


BUILD_OPTIONS = {"secretKey": SECRET_KEY, "machineSecretKey": MACHINE_KEY}


def made(wire: BackendWire, **options: Any) -> Authenticator:
    """An authenticator that asks `wire`, at the moment the tokens were made for."""
    given = {
        "publishable_key": LIVE,
        "secret_key": SECRET_KEY,
        "machine_secret_key": MACHINE_KEY,
        "api_url": wire.url,
        "environment": {},
        "clock": lambda: NOW,
    }
    return Authenticator(**given | options)
