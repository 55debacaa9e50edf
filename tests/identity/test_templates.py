"""The template language: what each shortcode gives, and that nobody can make it blow up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.identity.templates import rules
from doorward.identity.templates.lint import lint
from doorward.identity.templates.shortcodes import (
    MAX_RESULT_BYTES,
    Evaluation,
    TemplateRefused,
    compile_claims,
    unread_braces,
)

VALUES: dict[str, Any] = {
    "user.id": "user_1",
    "user.first_name": "Ada",
    "user.last_name": None,
    "user.full_name": None,
    "user.email_verified": False,
    "user.created_at": 1_700_000_000,
    "user.public_metadata": {"age": 36, "tags": ["a", 1], "addresses": {"Home": "Quay 1"}, "off": False},
    "user.unsafe_metadata": {},
    "org.role": None,
    "org.public_metadata": None,
    "org_membership.public_metadata": {"team": "blue"},
}


def evaluated(claim: object) -> Any:
    return Evaluation(VALUES).claims(compile_claims({"x": claim}))["x"]


@pytest.mark.conformance("data-access", 18, 19)
@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        pytest.param("{{user.id}}", "user_1", id="a path"),
        pytest.param("{{ user.id }}", "user_1", id="white space"),
        pytest.param("{{user.created_at}}", 1_700_000_000, id="a number"),
        pytest.param("{{user.email_verified}}", False, id="a boolean"),
        pytest.param("{{user.public_metadata.tags}}", ["a", 1], id="a list"),
        pytest.param("{{user.public_metadata.addresses}}", {"Home": "Quay 1"}, id="an object"),
        pytest.param("{{user.public_metadata.addresses.Home}}", "Quay 1", id="nested"),
        pytest.param("{{user.public_metadata.addresses.home}}", None, id="case matters"),
        pytest.param("{{user.publicMetadata.age}}", 36, id="the other spelling of metadata"),
        pytest.param("{{org_membership.publicMetadata.team}}", "blue", id="the other spelling of a membership's"),
        pytest.param("{{user.private_metadata.x}}", None, id="private data"),
        pytest.param("{{user.nope}}", None, id="an unknown path"),
        pytest.param("{{user.id.length}}", None, id="below a scalar"),
        pytest.param("{{user.last_name}} {{user.first_name}}", "null Ada", id="null in text"),
        pytest.param("{{user.email_verified}}!", "false!", id="a boolean in text"),
        pytest.param("{{user.public_metadata.tags}}!", '["a",1]!', id="a list in text"),
        pytest.param("{{user.first_name}} ", "Ada ", id="white space around is text"),
        pytest.param("{{user.full_name || 'X'}}", "X", id="a default"),
        pytest.param("{{user.public_metadata.years || 30}}", 30, id="a number as default"),
        pytest.param("{{user.nope || -1.50}}", -1.5, id="a fraction"),
        pytest.param("{{user.nope || 007}}", 7, id="leading zeros"),
        pytest.param("{{user.nope||true}}", True, id="a boolean as default, tight"),
        pytest.param("{{user.nope || ''}}", "", id="an empty text"),
        pytest.param("{{user.public_metadata.off || 'on'}}", "on", id="false takes the default"),
        pytest.param("{{user.nope || user.last_name || user.first_name || 'z'}}", "Ada", id="a chain"),
        pytest.param("{{user.nope || user.email_verified}}", False, id="the last operand, whatever it is"),
        pytest.param("{{user.last_name || null}}", None, id="null as the last"),
        pytest.param("{{user.nope || 'a || }} b'}}", "a || }} b", id="signs inside a text"),
        pytest.param("hello {{user.nope || 'you'}}!", "hello you!", id="a default in text"),
        pytest.param("{{'x'}}", "x", id="a literal alone"),
        pytest.param("{{{user.id}}}", "{user_1}", id="a brace too many"),
        pytest.param("{{user.id", "{{user.id", id="never closed"),
        pytest.param("{{user.id | upper}}", "{{user.id | upper}}", id="no such operator"),
        pytest.param("{{user.nope || 'x}}", "{{user.nope || 'x}}", id="a text never closed"),
        pytest.param("{{}}", "{{}}", id="nothing"),
        pytest.param("{{ {{user.id}}", "{{ user_1", id="braces before a shortcode"),
        pytest.param({"{{user.id}}": 1}, {"{{user.id}}": 1}, id="keys are never touched"),
        pytest.param([{"a": ["{{user.id}}"]}, 3, None], [{"a": ["user_1"]}, 3, None], id="inside lists"),
    ],
)  # fmt: skip
def test_each_shortcode(claim: object, expected: object) -> None:
    found = evaluated(claim)
    assert found == expected
    assert type(found) is type(expected)


def warnings_of(claims: dict[str, Any]) -> list[tuple[str, str]]:
    compiled = compile_claims(claims)
    evaluation = Evaluation(VALUES)
    evaluation.claims(compiled)
    return [(warned.code, warned.where) for warned in [*evaluation.warnings, *unread_braces(compiled)]]


def test_warnings_tell_the_unknown_from_the_absent() -> None:
    assert warnings_of({"a": {"b": ["{{user.nope}}"]}}) == [("unknown_path", "claims.a.b.0")]
    assert warnings_of({"a": "{{user.id.length}}"}) == [("unknown_path", "claims.a")]
    assert warnings_of({"a": "{{user.public_metadata.nope}}"}) == [("absent_value", "claims.a")]
    assert warnings_of({"a": "{{user.public_metadata.nope || 'x'}}"}) == []
    assert warnings_of({"a": "{{org.public_metadata.x}}"}) == [("absent_value", "claims.a")]
    assert warnings_of({"a": "x {{user.id | upper}}"}) == [("not_a_shortcode", "claims.a")]
    assert warnings_of({"a": "{{user.id}}"}) == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda members: st.lists(members, max_size=4) | st.dictionaries(st.text(), members, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_claims_without_shortcodes_come_out_as_they_went_in(value: object) -> None:
    if "{{" not in repr(value):
        assert Evaluation(VALUES).claims(compile_claims(value)) == value


pieces = st.sampled_from(
    ["{{", "}}", "||", "'", " ", "user", ".", "id", "user.id", "public_metadata", "30", "true", "{", "-", "é"]
)


@given(
    st.lists(pieces, max_size=60).map("".join) | st.text(max_size=80), st.lists(pieces, max_size=20).map("".join)
)  # fmt: skip
def test_whatever_a_text_holds_it_gives_json_or_a_refusal(text: str, key: str) -> None:
    try:
        found = Evaluation(VALUES).claims(compile_claims({key: text}))
    except TemplateRefused:
        return
    assert len(msgspec.json.encode(found)) <= 2 * MAX_RESULT_BYTES


@pytest.mark.parametrize("claim", ["{{user.public_metadata.big}}", "x{{user.public_metadata.big}}"])
def test_a_small_template_cannot_give_a_huge_token(claim: str) -> None:
    values = {"user.public_metadata": {"big": "y" * 4000}}
    Evaluation(values).claims(compile_claims({"a": claim, "b": claim}))
    with pytest.raises(TemplateRefused, match="larger"):
        Evaluation(values).claims(compile_claims({"a": [claim] * 100}))


def test_depth_is_bounded_in_templates_and_in_what_metadata_adds() -> None:
    deep: Any = "x"
    for _ in range(20):
        deep = [deep]
    with pytest.raises(TemplateRefused, match="levels"):
        compile_claims({"a": deep})
    values = {"user.public_metadata": {"deep": deep}}
    assert Evaluation(values).claims(compile_claims({"a": "{{user.public_metadata.deep}}"})) == {"a": deep}
    wrapped: Any = "{{user.public_metadata.deep}}"
    for _ in range(12):
        wrapped = [wrapped]
    with pytest.raises(TemplateRefused, match="deeply"):
        Evaluation(values).claims(compile_claims({"a": wrapped}))


@pytest.mark.parametrize("claim", sorted(rules.RESERVED_CLAIMS))
def test_every_reserved_claim_is_refused(claim: str) -> None:
    (problem,) = rules.claims_problems({claim: "x", "fine": 1}, b"{}")
    assert (problem.code, problem.param) == ("jwt_template_reserved_claim", "claims")


@pytest.mark.conformance("data-access", 8)
@pytest.mark.parametrize(
    "claims",
    [
        {"x-triplit-token-type": "secret"},
        {"app": {"x-triplit-token-type": "secret"}},
        {"app": [{"X-Triplit-User-Id": 1}]},
    ],
)
def test_what_triplit_takes_for_its_own_is_reserved_everywhere(claims: dict[str, Any]) -> None:
    assert [problem.code for problem in rules.claims_problems(claims, b"{}")] == [
        "jwt_template_reserved_claim"
    ]
    assert not rules.claims_problems({"app": {"role": "x-triplit-secret"}}, b"{}")


HASURA: dict[str, Any] = {"x-hasura-default-role": "user", "x-hasura-allowed-roles": ["user"]}


@pytest.mark.conformance("data-access", 8, 17, 20, 21, 27)
@pytest.mark.parametrize(
    ("claims", "codes"),
    [
        ({"claims.jwt.hasura.io": HASURA}, []),
        ({"https://hasura.io/jwt/claims": HASURA | {"x-hasura-default-role": "admin"}}, ["hasura_default_role"]),
        ({"claims.jwt.hasura.io": HASURA | {"x-hasura-allowed-roles": ["user", "user"]}}, ["hasura_allowed_roles"]),
        ({"claims.jwt.hasura.io": HASURA | {"x-hasura-allowed-roles": "user"}}, ["hasura_allowed_roles"]),
        ({"claims.jwt.hasura.io": HASURA | {"X-Hasura-User-Id": "u"}}, ["hasura_case"]),
        ({"claims.jwt.hasura.io": "x"}, ["hasura_claims"]),
        ({"claims.jwt.hasura.io": HASURA | {"x-hasura-default-role": None}}, ["null_claim", "hasura_default_role"]),
        ({"o": {"x": [None]}}, ["null_claim"]),
        ({"big": "x" * 4000}, ["large_token"]),
    ],
)  # fmt: skip
def test_an_author_hears_what_the_data_layers_would_refuse(claims: dict[str, Any], codes: list[str]) -> None:
    assert [warned.code for warned in lint(claims, len(msgspec.json.encode(claims)))] == codes


@pytest.mark.conformance("data-access", 27)
def test_the_largest_claim_of_a_token_that_is_too_large_is_named() -> None:
    claims = {"small": "x", "photo": "x" * 4000, "bio": "x" * 500}
    (warned,) = lint(claims, len(msgspec.json.encode(claims)))
    assert (warned.code, warned.where) == ("large_token", "claims.photo")
