"""Our verdicts beside those of the published `@clerk/backend`, over one generated table of requests.

Where we mean to differ (`docs/verify.md`) the table has no case, and test_authenticator.py has one. The rest must be equal: status, reason, kind of token, headers with
the address of a handshake letter for letter, cookies, what `toAuth()` holds and what `has()` says.
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from doorward.verify import (
    Authenticator,
    HandshakeFailed,
    RequestState,
    Reverification,
    SessionAuth,
    auth_request,
    reasons,
)
from tests.sdk_clients.installed import javascript_sdks
from tests.verify.backend_wire import MACHINE_KEY, SECRET_KEY, BackendWire
from tests.verify.requests_table import NOW, Case, Tokens, cases

# Sentences in which our own words follow, or stand instead: clocks, the algorithms of each, whom to ask for help.
OWN_WORDS = {
    reasons.TOKEN_EXPIRED,
    reasons.TOKEN_NOT_ACTIVE_YET,
    reasons.TOKEN_IAT_IN_THE_FUTURE,
    reasons.TOKEN_INVALID_ALGORITHM,
    reasons.JWK_KID_MISMATCH,
}
READ_FROM_CLAIMS = ("session_claims", "actor", "factor_verification_age")
_OPTIONS = {
    "audience": "audience",
    "authorizedParties": "authorized_parties",
    "issuer": "issuer",
    "jwtKey": "jwt_key",
}


@pytest.fixture(scope="module")
def theirs(tokens: Tokens, wire: BackendWire) -> list[tuple[Case, dict[str, Any]]]:
    """Each case with the verdict of JavaScript, all from one process."""
    folder = javascript_sdks()
    table = cases(tokens)
    asked = [
        {
            "method": case.method,
            "url": case.url,
            "headers": case.headers,
            "now": NOW,
            "asked": case.asked,
            "options": {
                "build": {
                    "secretKey": SECRET_KEY,
                    "machineSecretKey": MACHINE_KEY,
                    "publishableKey": case.key,
                    "apiUrl": wire.url,
                },
                "acceptsToken": case.accepts,
                **case.options,
            },
        }
        for case in table
    ]
    done = subprocess.run(
        ["node", "decisions.mjs"],
        cwd=folder,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    return list(zip(table, json.loads(done.stdout), strict=True))


def test_every_verdict_is_the_one_of_javascript(
    theirs: list[tuple[Case, dict[str, Any]]], wire: BackendWire
) -> None:
    assert len(theirs) > 1000
    made: dict[str, Authenticator] = {}
    different = []
    for case, verdict in theirs:
        ours = comparable(judge(case, wire, made), case)
        expected = javascript(verdict)
        if ours != expected:
            fields = {
                name: (ours.get(name), expected.get(name))
                for name in ours | expected
                if ours.get(name) != expected.get(name)
            }
            different.append(f"{case.name}: (ours, theirs) {fields}")
    assert not different, f"{len(different)} of {len(theirs)} differ:\n" + "\n".join(different[:40])


def test_the_table_reaches_every_reason(theirs: list[tuple[Case, dict[str, Any]]]) -> None:
    """A table that misses a branch proves nothing about it."""
    reached = {verdict.get("reason") for _, verdict in theirs}
    named = {value for name, value in vars(reasons).items() if name.isupper() and not value[0].isupper()}
    refreshes = {value for name, value in vars(reasons).items() if name.startswith("REFRESH_")}
    expired = f"{reasons.SESSION_TOKEN_EXPIRED}-refresh-"
    seen_refreshes = {
        reason.removeprefix(expired) for reason in reached if reason and reason.startswith(expired)
    }
    beyond = {
        # Reached only through one of the others, or only when the Backend API cannot be reached: test_authenticator.
        reasons.SESSION_TOKEN_EXPIRED, reasons.TOKEN_EXPIRED, reasons.TOKEN_NOT_ACTIVE_YET,
        reasons.TOKEN_IAT_IN_THE_FUTURE, reasons.UNEXPECTED_ERROR, reasons.REMOTE_JWK_FAILED_TO_LOAD,
        reasons.JWK_FAILED_TO_RESOLVE, reasons.SECRET_KEY_INVALID,
    }  # fmt: skip
    assert named - refreshes - beyond <= reached
    assert {
        reasons.REFRESH_NO_COOKIE, reasons.REFRESH_NOT_GET, reasons.REFRESH_INVALID_SESSION_TOKEN, reasons.REFRESH_MISSING_SID,
    } <= seen_refreshes  # fmt: skip


def judge(case: Case, wire: BackendWire, made: dict[str, Authenticator]) -> RequestState | HandshakeFailed:
    name = json.dumps([case.key, case.options])
    if name not in made:
        options = {_OPTIONS[key]: value for key, value in case.options.items() if key in _OPTIONS}
        if "clockSkewInMs" in case.options:
            options["clock_skew"] = case.options["clockSkewInMs"] / 1000
        made[name] = Authenticator(
            publishable_key=case.key,
            secret_key=SECRET_KEY,
            machine_secret_key=MACHINE_KEY,
            api_url=wire.url,
            environment={},
            clock=lambda: NOW,
            **options,
        )
    try:
        request = auth_request(case.method, case.url, case.headers)
        return made[name].authenticate_request(request, accepts_token=case.accepts)
    except HandshakeFailed as failure:
        return failure


def comparable(state: RequestState | HandshakeFailed, case: Case) -> dict[str, Any]:
    """Our verdict in JavaScript's words."""
    if isinstance(state, HandshakeFailed):
        return {"throws": True}
    auth = state.to_auth()
    names = [] if auth is None else [*auth.__struct_fields__]
    if isinstance(auth, SessionAuth):
        names += READ_FROM_CLAIMS
    fields = {name: getattr(auth, name) for name in names if name != "token" and not name.startswith("_")}
    plain = {name: value for name, value in state.headers if name != "set-cookie"}
    return _without_own_words(
        {
            "status": state.status,
            "reason": state.reason,
            "message": state.message,
            "tokenType": state.token_type,
            "isAuthenticated": state.is_authenticated,
            "headers": plain,
            "setCookie": [value for name, value in state.headers if name == "set-cookie"],
            "auth": {_camel(name): _listed(value) for name, value in fields.items() if value is not None}
            or None,
            "has": [auth.has(**_question(asked)) for asked in case.asked] if auth else [],
        }
    )


def javascript(verdict: dict[str, Any]) -> dict[str, Any]:
    if verdict.get("throws"):
        return {"throws": True}
    auth = verdict["auth"] and {name: value for name, value in verdict["auth"].items() if value is not None}
    return _without_own_words(verdict | {"auth": auth})


def _without_own_words(verdict: dict[str, Any]) -> dict[str, Any]:
    found = re.search(r"\(reason=([a-z-]+),", verdict["message"] or "")
    if (found and found[1] in OWN_WORDS) or (verdict["message"] or "").startswith("JWT is expired"):
        headers = {
            name: value for name, value in verdict["headers"].items() if name != "x-clerk-auth-message"
        }
        return verdict | {"message": None, "headers": headers}
    return verdict


def _question(asked: dict[str, Any]) -> dict[str, Any]:
    again = asked.get("reverification")
    if isinstance(again, dict):
        return {"reverification": Reverification(again["level"], again["afterMinutes"])}
    return asked


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
