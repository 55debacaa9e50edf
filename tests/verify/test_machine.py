"""A machine's tokens: made, verified, listed and revoked over the Backend API's wire, in threads and coroutines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from doorward.verify import ApiError, ConfigurationError, Machine, TokenRefused
from doorward.verify.errors import BadRequest, NotAllowed, SecretKeyRefused, TokenNotFound, Unreachable
from tests.verify.backend_wire import MACHINE_KEY, BackendWire, serving
from tests.verify.requests_table import NOW, Tokens

pytestmark = pytest.mark.anyio


@pytest.fixture
def wire(tokens: Tokens) -> Iterator[BackendWire]:
    with serving(BackendWire(tokens.key)) as wire:
        yield wire


def machine(wire: BackendWire, **options: Any) -> Machine:
    given = {"machine_secret_key": MACHINE_KEY, "api_url": wire.url, "environment": {}, "clock": lambda: NOW}
    return Machine(**given | options)


def test_a_token_is_made_verified_listed_and_revoked(wire: BackendWire) -> None:
    own = machine(wire)
    made = own.create_token(claims={"job": "nightly"}, seconds_until_expiration=60)
    assert made.token
    assert made.token not in repr(made)
    caller = own.verify_token(made.token)
    assert (caller.machine_id, caller.claims, caller.scopes) == ("mch_a", {"job": "nightly"}, ("mch_b",))
    assert [listed.id for listed in own.list_tokens("mch_a")] == [made.id]
    assert own.revoke_token(made.id, revocation_reason="done").revoked
    with pytest.raises(TokenNotFound) as gone:
        own.verify_token(made.token)
    assert gone.value.code == "token-invalid"
    assert "scopes" in str(gone.value)


async def test_the_same_in_coroutines(wire: BackendWire) -> None:
    own = machine(wire)
    made = await own.create_token_async()
    assert (await own.verify_token_async(made.token or "")).machine_id == "mch_a"
    assert len(await own.list_tokens_async("mch_a")) == 1
    assert (await own.revoke_token_async(made.id)).revoked


def test_a_jwt_is_verified_without_a_call(wire: BackendWire, tokens: Tokens) -> None:
    own = machine(wire, jwt_key=tokens.key.public)
    assert own.verify_token(tokens.machine(scopes="mch_b")).scopes == ("mch_b",)
    assert not wire.asked
    with pytest.raises(TokenRefused, match="expired"):
        own.verify_token(tokens.machine(exp=NOW - 60))
    with pytest.raises(TokenRefused, match="no machine's token"):
        own.verify_token(tokens.session())


def test_a_key_given_beats_the_environment_and_the_instances_key_is_out_of_reach(wire: BackendWire) -> None:
    environment = {
        "CLERK_MACHINE_SECRET_KEY": "ak_env",
        "CLERK_SECRET_KEY": "sk_instance",
        "CLERK_API_URL": wire.url,
    }
    Machine(machine_secret_key=MACHINE_KEY, environment=environment).create_token()
    assert wire.asked[-1][2] == MACHINE_KEY
    with pytest.raises(SecretKeyRefused):
        Machine(environment=environment).create_token()
    assert wire.asked[-1][2] == "ak_env"
    assert "sk_instance" not in {bearer for _, _, bearer, _ in wire.asked}


def test_each_refusal_has_a_type_a_code_and_a_way_out(wire: BackendWire, tokens: Tokens) -> None:
    own = machine(wire)
    refusals: list[tuple[type[ApiError], str, Any]] = [
        (
            SecretKeyRefused,
            "secret-key-invalid",
            lambda: machine(wire, machine_secret_key="ak_no").create_token(),
        ),
        (BadRequest, "bad-request", lambda: own.create_token(seconds_until_expiration=-5)),
        (NotAllowed, "not-allowed", lambda: own.list_tokens("mch_other")),
        (TokenNotFound, "token-invalid", lambda: own.revoke_token("mt_unknown")),
        (BadRequest, "bad-request", lambda: own.revoke_token("../machines")),
        (Unreachable, "unreachable", lambda: machine(wire, api_url="http://127.0.0.1:1").create_token()),
    ]
    for kind, code, attempt in refusals:
        with pytest.raises(kind) as refused:
            attempt()
        assert refused.value.code == code
        assert len(str(refused.value)) > 20
        assert MACHINE_KEY not in str(refused.value)


def test_an_answer_of_another_shape_is_no_token(wire: BackendWire) -> None:
    wire.answer = lambda *asked: (200, {"hello": "world"})  # type: ignore[method-assign]
    with pytest.raises(Unreachable, match="api_url"):
        machine(wire).create_token()


@pytest.mark.parametrize("key", ["", "sk_test_x", "mt_x"])
def test_no_other_key_makes_a_machine(key: str) -> None:
    with pytest.raises(ConfigurationError, match="CLERK_MACHINE_SECRET_KEY"):
        Machine(machine_secret_key=key, environment={})


def test_secrets_never_travel_in_the_clear() -> None:
    with pytest.raises(Unreachable):
        Machine(
            machine_secret_key=MACHINE_KEY, api_url="http://accounts.example", environment={}
        ).create_token()
