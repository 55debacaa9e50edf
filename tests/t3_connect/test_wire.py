"""How members may be absent, null, blank or padded, for each notation of the protocol."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from doorward.t3_connect import (
    SchemaMismatch,
    decode_form,
    decode_json,
    encode_json,
    iso,
    known,
    parse_iso,
    unset_if_none,
)
from doorward.t3_connect import messages as m
from doorward.t3_connect.wire import Form, Tstr, Wire

ECMASCRIPT_SPACES = "\t\n\v\f\r \u00a0\u1680\u2003\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"


class Sample(Wire, frozen=True, kw_only=True):
    plain_text: Tstr
    may_be_null: Tstr | None = None
    never_null: Tstr | UnsetType = UNSET
    always_there: Tstr | None
    raw: str = ""


def decode(**members):
    return decode_json(Sample, json.dumps({"plainText": "x", "alwaysThere": None, **members}).encode())


def is_refused(**members):
    with pytest.raises(SchemaMismatch):
        decode(**members)
    return True


@pytest.mark.parametrize("space", ECMASCRIPT_SPACES)
def test_a_trimmed_string_loses_what_ecmascript_trims(space) -> None:
    for name, field in (
        ("plainText", "plain_text"),
        ("mayBeNull", "may_be_null"),
        ("neverNull", "never_null"),
        ("alwaysThere", "always_there"),
    ):
        assert getattr(decode(**{name: f"{space}a {space}b{space * 2}"}), field) == f"a {space}b"
        assert is_refused(**{name: space * 3})
        assert is_refused(**{name: ""})


@pytest.mark.parametrize("kept", ["\u0085", "\x1c", "\x1f", "\u200b", "\x00"])
def test_a_trimmed_string_keeps_what_only_python_would_trim(kept) -> None:
    assert decode(plainText=f"{kept}a{kept}").plain_text == f"{kept}a{kept}"


def test_a_plain_string_is_left_as_it_is() -> None:
    assert decode(raw="  ").raw == "  "


def test_opt_takes_absence_and_null_as_absent() -> None:
    assert decode().may_be_null is None
    assert decode(mayBeNull=None).may_be_null is None
    assert decode(mayBeNull="a").may_be_null == "a"


def test_optkey_takes_absence_but_refuses_null() -> None:
    assert decode().never_null is UNSET
    assert decode(neverNull="a").never_null == "a"
    assert is_refused(neverNull=None)


def test_a_member_that_may_be_null_must_still_be_there() -> None:
    assert decode(alwaysThere=None).always_there is None
    with pytest.raises(SchemaMismatch):
        decode_json(Sample, b'{"plainText":"x"}')


@pytest.mark.parametrize("value", [1, 1.5, True, [], {}, ["a"]])
@pytest.mark.parametrize("name", ["plainText", "mayBeNull", "neverNull", "alwaysThere", "raw"])
def test_a_string_is_a_string(name, value) -> None:
    assert is_refused(**{name: value})


def test_unknown_members_are_dropped() -> None:
    assert decode(unknown={"deep": [1]}, plain_text="snake") == decode()


def test_absent_members_are_left_out_and_null_ones_written() -> None:
    assert encode_json(decode()) == b'{"plainText":"x","alwaysThere":null}'
    full = decode(mayBeNull="a", neverNull="b", alwaysThere="c", raw="d")
    assert (
        encode_json(full) == b'{"plainText":"x","mayBeNull":"a","neverNull":"b","alwaysThere":"c","raw":"d"}'
    )


def test_strings_are_trimmed_on_the_way_out_too() -> None:
    assert encode_json(Sample(plain_text=" x ", always_there=None)) == b'{"plainText":"x","alwaysThere":null}'
    with pytest.raises(ValueError):
        Sample(plain_text=" ", always_there=None)


def test_absence_is_translated_to_none_and_back() -> None:
    assert known(UNSET) is known(None) is None
    assert known("a") == unset_if_none("a") == "a"
    assert unset_if_none(None) is UNSET


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"{}", b"\xff", b"[" * 5000, b'{"plainText":NaN}', b"\xef\xbb\xbf{}"],
)
def test_any_other_body_is_a_mismatch_and_never_a_crash(body) -> None:
    with pytest.raises(SchemaMismatch):
        decode_json(Sample, body)


@given(st.binary(max_size=60))
def test_no_bytes_make_a_decoder_fall_over(body) -> None:
    for shape in (Sample, m.ConnectRequest, m.LinkRequest):
        try:
            decode_json(shape, body)
        except SchemaMismatch:
            continue


class FormSample(Form, frozen=True, kw_only=True):
    grant_type: Tstr
    scope: Tstr | UnsetType = UNSET


def test_a_form_is_read_by_name_and_a_repeated_field_is_refused() -> None:
    assert decode_form(FormSample, [("grant_type", " a "), ("other", "x")]) == FormSample(grant_type="a")
    for pairs in (
        [],
        [("grant_type", "a"), ("grant_type", "a")],
        [("grant_type", "a"), ("x", "1"), ("x", "2")],
        [("grant_type", " ")],
    ):
        with pytest.raises(SchemaMismatch):
            decode_form(FormSample, pairs)


def test_connect_bodies_of_the_checklist() -> None:
    assert decode_json(m.ConnectRequest, b'{"client":null}').client is None
    assert decode_json(m.ConnectRequest, b'{"client":{}}').client == m.ClientMeta()
    assert decode_json(m.ConnectRequest, b"{}") == m.ConnectRequest()
    for client in ('{"label":null}', '{"deviceType":"watch"}', '{"deviceType":null}', '{"os":" "}', "[]"):
        with pytest.raises(SchemaMismatch):
            decode_json(m.ConnectRequest, f'{{"client":{client}}}'.encode())
    for kind in ("desktop", "mobile", "tablet", "bot", "unknown"):
        client = decode_json(m.ConnectRequest, f'{{"client":{{"deviceType":"{kind}"}}}}'.encode()).client
        assert client is not None and client.device_type == kind


def test_link_bodies_of_the_checklist() -> None:
    flags = {"notificationsEnabled": True, "liveActivitiesEnabled": False, "managedTunnelsEnabled": True}
    made = decode_json(m.LinkRequest, json.dumps({**flags, "deviceId": None, "proof": " p "}).encode())
    assert (made.device_id, made.proof) == (None, "p")
    for wrong in (
        {"proof": "  "},
        {},
        {"proof": None},
        {"proof": "p", "notificationsEnabled": 1},
        {"proof": "p", "notificationsEnabled": None},
    ):
        with pytest.raises(SchemaMismatch):
            decode_json(m.LinkRequest, json.dumps({**flags, **wrong}).encode())


@pytest.mark.parametrize(
    "port, is_taken",
    [
        (0, False),
        (1, True),
        (65535, True),
        (65536, False),
        (-1, False),
        (1.5, False),
        ("80", False),
        (True, False),
    ],
)
def test_an_origin_has_a_port(port, is_taken) -> None:
    body = json.dumps({"localHttpHost": "localhost", "localHttpPort": port}).encode()
    if is_taken:
        assert decode_json(m.Origin, body).local_http_port == port
    else:
        with pytest.raises(SchemaMismatch):
            decode_json(m.Origin, body)


DESCRIPTOR = {
    "environmentId": "e",
    "label": "l",
    "platform": {"os": "linux", "arch": "x64"},
    "serverVersion": "1",
}


def test_a_descriptor_keeps_capabilities_it_does_not_know() -> None:
    def capabilities(given):
        return decode_json(
            m.Descriptor, json.dumps({**DESCRIPTOR, "capabilities": given}).encode()
        ).capabilities

    assert capabilities({}) == {"repositoryIdentity": False}
    assert capabilities({"repositoryIdentity": True, "next": [1]}) == {
        "repositoryIdentity": True,
        "next": [1],
    }
    for wrong in ({"repositoryIdentity": None}, {"repositoryIdentity": 1}, None, []):
        with pytest.raises(SchemaMismatch):
            capabilities(wrong)


def test_a_link_response_always_names_its_runtime() -> None:
    response = m.LinkResponse(
        ok=True,
        cloud_user_id="u",
        environment_id="e",
        endpoint=m.Endpoint(http_base_url="https://h/", ws_base_url="wss://h/ws", provider_kind="manual"),
        endpoint_runtime=None,
        relay_issuer="https://r",
        environment_credential="t3env_secret",
        cloud_mint_public_key="pem",
    )
    assert b'"endpointRuntime":null' in encode_json(response)
    assert "t3env_secret" not in repr(response)


def test_secrets_stay_out_of_reprs() -> None:
    secret = "tiger"
    endpoint = m.Endpoint(http_base_url="https://h/", ws_base_url="wss://h/ws", provider_kind="manual")
    made = [
        m.EndpointRuntime(provider_kind="cloudflare_tunnel", connector_token=secret),
        m.ConnectAuthorized(environment_id="e", endpoint=endpoint, credential=secret, expires_at="t"),
        m.MintAuthorized(credential=secret, expires_at="t", proof=secret),
        m.WebSocketTicket(ticket=secret, expires_at="t"),
        m.BrowserSessionRequest(credential=secret),
        m.PairingToken(id="i", credential=secret, expires_at="t"),
        m.PairingLink(id="i", credential=secret, scopes=(), subject="s", created_at="t", expires_at="t"),
        m.TokenExchangeResponse(
            access_token=secret,
            issued_token_type=m.TOKEN_TYPE_ACCESS_TOKEN,
            token_type="DPoP",
            expires_in=1,
            scope="s",
        ),
    ]
    for struct in made:
        assert secret not in repr(struct)
        assert secret.encode() in msgspec.json.encode(struct)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_times_come_back(ms) -> None:
    assert parse_iso(iso(ms)) == ms


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(1_782_561_600_007) == "2026-06-27T12:00:00.007Z"
    assert parse_iso("2026-06-27T14:00:00+02:00") == 1_782_561_600_000
    assert parse_iso("2026-06-27T12:00Z") == 1_782_561_600_000
    for wrong in (
        "",
        "2026-06-27",
        "2026-06-27T12:00:00",
        "now",
        "2026-13-01T00:00:00Z",
        " 2026-06-27T12:00:00Z",
    ):
        with pytest.raises(ValueError):
            parse_iso(wrong)
