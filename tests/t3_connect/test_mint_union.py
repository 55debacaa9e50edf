"""The answer to a mint request is one of two things, and a refusal always wins over a credential."""

import json
from itertools import product

import pytest

from doorward.t3_connect import SchemaMismatch
from doorward.t3_connect.claims import MintAuthorizedClaims, MintPendingClaims, mint_response_claims
from doorward.t3_connect.messages import (
    ConnectAuthorized,
    ConnectPending,
    MintAuthorized,
    MintPending,
)
from doorward.t3_connect.messages.relay import decode_connect_response, decode_mint_response

ENDPOINT = {"httpBaseUrl": "https://h/", "wsBaseUrl": "wss://h/ws", "providerKind": "cloudflare_tunnel"}
CLAIMS = {
    "iss": "i",
    "aud": "a",
    "sub": "s",
    "jti": "j",
    "iat": 1,
    "exp": 2,
    "environmentId": "e",
    "requestNonce": "n",
}
PENDING = {
    "status": ["pending_approval", "approved", "", None, 1],
    "approvalStatus": ["pending", "rejected", "approved", "other", None],
    "clientProofKeyThumbprint": ["k", " ", None],
    "requestedAt": ["t", "", None],
}
ABSENT = object()


def bodies():
    """Every combination of each member absent, valid or wrong, with and without a credential."""
    names = list(PENDING)
    for values in product(*([ABSENT, *PENDING[name]] for name in names)):
        members = {name: value for name, value in zip(names, values, strict=True) if value is not ABSENT}
        for credential in (ABSENT, "c", " ", None):
            yield members if credential is ABSENT else {**members, "credential": credential}


def is_pending(body):
    return (
        body.get("status") == "pending_approval"
        and body.get("approvalStatus") in ("pending", "rejected", "approved")
        and body.get("clientProofKeyThumbprint") == "k"
        and body.get("requestedAt") == "t"
    )


def judge(decode, body):
    try:
        return type(decode(body))
    except SchemaMismatch:
        return None


def test_bodies_of_the_environment_follow_the_rule_in_every_combination() -> None:
    for body in bodies():
        expected = (
            MintPending if is_pending(body) else MintAuthorized if body.get("credential") == "c" else None
        )
        raw = json.dumps({**body, "expiresAt": "t", "proof": "p"}).encode()
        assert judge(decode_mint_response, raw) is expected, body


def test_bodies_of_the_relay_follow_the_same_rule() -> None:
    for body in bodies():
        expected = (
            ConnectPending
            if is_pending(body)
            else ConnectAuthorized
            if body.get("credential") == "c"
            else None
        )
        raw = json.dumps({**body, "environmentId": "e", "endpoint": ENDPOINT, "expiresAt": "t"}).encode()
        assert judge(decode_connect_response, raw) is expected, body


def test_signed_claims_follow_the_same_rule() -> None:
    for body in bodies():
        if body.get("clientProofKeyThumbprint") != "k":
            expected = None  # claims of both kinds carry the thumbprint
        elif is_pending(body):
            expected = MintPendingClaims
        else:
            expected = MintAuthorizedClaims if body.get("credential") == "c" else None
        assert judge(mint_response_claims, {**CLAIMS, **body}) is expected, body


def test_a_refusal_that_carries_a_credential_loses_it() -> None:
    body = {
        "status": "pending_approval",
        "approvalStatus": "rejected",
        "clientProofKeyThumbprint": "k",
        "requestedAt": "t",
    }
    both = {**body, "credential": "c", "expiresAt": "t", "proof": "p"}
    assert not hasattr(decode_mint_response(json.dumps(both).encode()), "credential")


@pytest.mark.parametrize("missing", ["credential", "expiresAt", "proof"])
def test_an_authorized_body_is_complete(missing) -> None:
    body = {"credential": "c", "expiresAt": "t", "proof": "p"}
    assert decode_mint_response(json.dumps(body).encode()) == MintAuthorized(
        credential="c", expires_at="t", proof="p"
    )
    del body[missing]
    with pytest.raises(SchemaMismatch):
        decode_mint_response(json.dumps(body).encode())
