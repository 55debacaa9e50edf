"""What holds for every operation of the Backend API: keys, versions, bodies, queries, answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.identity.backend_api.catalogue import OPERATIONS
from doorward.identity.backend_api.reading import read_body, read_query
from doorward.identity.backend_api.wire.shapes import Body, NoBody, Page, Query, Upload
from doorward.identity.errors import Refused
from tests.identity_backend_api.conftest import Backend

pytestmark = pytest.mark.anyio


class Filter(Query, frozen=True, kw_only=True):
    user_id: tuple[str, ...] = ()
    query: str | None = None
    last_active_since: int | None = None
    banned: bool = False


class Wish(Body, frozen=True, kw_only=True):
    name: str
    age: Annotated[int, msgspec.Meta(ge=0)] = 0
    tags: list[str] | msgspec.UnsetType = msgspec.UNSET
    note: str | None = None


@pytest.mark.conformance("clerk-backend-traps", 1)
@pytest.mark.conformance("clerk-backend", 1, 22)
async def test_a_secret_key_opens_the_backend_api(backend: Backend) -> None:
    keys = (await backend.ask("GET", "/jwks"))["keys"]
    assert keys == msgspec.to_builtins(backend.world.identity.signing_keys.key_set.keys)
    for key in keys:
        assert (key["kty"], key["use"], key["alg"], key["e"]) == ("RSA", "sig", "RS256", "AQAB")
        assert key["kid"]
        assert len(key["n"]) == 342  # 2,048 bits in base64url


@pytest.mark.conformance("clerk-backend", 2, 3)
@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "authorization_header_format_invalid"),
        ("", "authorization_header_format_invalid"),
        ("Bearer", "authorization_header_format_invalid"),
        ("Bearer ", "authorization_header_format_invalid"),
        ("Basic sk_test_x", "authorization_header_format_invalid"),
        ("Bearer sk_test_" + "x" * 43, "clerk_key_invalid"),
        ("Bearer sk_test_x' OR 1=1 --", "clerk_key_invalid"),
        ("Bearer pk_test_YWNj", "clerk_key_invalid"),
    ],
)
async def test_without_a_good_key_nothing_is_told(backend: Backend, header: str | None, code: str) -> None:
    del backend.http.headers["authorization"]
    headers = {} if header is None else {"authorization": header}
    await backend.refused("GET", "/jwks", 401, code, headers=headers)


async def test_a_revoked_key_is_refused(backend: Backend) -> None:
    keys = backend.world.identity.secret_keys
    (key,) = await keys.list()
    assert await keys.revoke(key.id, actor=None)
    assert not await keys.revoke(key.id, actor=None)
    await backend.refused("GET", "/jwks", 401, "clerk_key_invalid")


async def test_a_key_made_elsewhere_is_accepted_once(backend: Backend) -> None:
    keys, secret = backend.world.identity.secret_keys, "sk_test_" + "0" * 48
    await keys.accept("up", secret)
    await keys.accept("up", secret)
    assert [key.name for key in await keys.list()].count("up") == 1
    assert await keys.recognise(secret) is not None
    with pytest.raises(ValueError, match="not a secret key"):
        await keys.accept("up", "sk_test_short")


async def test_the_key_itself_is_not_in_the_database(backend: Backend) -> None:
    made = await backend.world.identity.secret_keys.make("second", actor=None)
    rows = await backend.world.database.read(lambda tx: tx.fetch_all("SELECT * FROM identity_secret_keys"))
    assert made.secret not in repr(rows)
    assert made.secret not in repr(made)


@pytest.mark.conformance("clerk-backend-traps", 1)
@pytest.mark.conformance("clerk-backend", 18)
async def test_unknown_paths_and_methods_are_told_in_clerks_shape(backend: Backend) -> None:
    await backend.refused("GET", "/nothing/here", 404, "resource_not_found")
    await backend.refused("DELETE", "/jwks", 405, "method_not_allowed")


@pytest.mark.conformance("clerk-backend", 10, 12)
@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"clerk-api-version": "yesterday"}, ""),
        ({"clerk-api-version": "1999-01-01"}, ""),
        ({"clerk-api-version": "2031-01-01"}, ""),
        ({"clerk-api-version": "2026-05-12"}, "?__clerk_api_version=2026-05-12"),
    ],
)
async def test_a_version_nobody_published_is_refused(
    backend: Backend, headers: dict[str, str], query: str
) -> None:
    await backend.refused("GET", f"/jwks{query}", 400, "api_version_invalid", headers=headers)


@pytest.mark.conformance("clerk-backend", 11, 12)
async def test_every_published_version_is_served_and_named_in_one_place_or_the_other(
    backend: Backend,
) -> None:
    for version in ("2021-02-05", "2024-10-01", "2025-04-10", "2025-11-10", "2026-05-12"):
        assert await backend.ask("GET", "/users", headers={"clerk-api-version": version}) == []
    del backend.http.headers["clerk-api-version"]
    assert await backend.ask("GET", "/users") == []
    assert await backend.ask("GET", "/users?__clerk_api_version=2026-05-12") == []
    await backend.refused("GET", "/users?__clerk_api_version=1999-01-01", 400, "api_version_invalid")


async def test_a_nul_is_the_askers_mistake(backend: Backend) -> None:
    await backend.refused("GET", "/jwks?x=%00", 400, "request_invalid")
    error = await backend.refused("POST", "/users", 400, "request_invalid", json={"first_name": "a\0b"})
    assert "address" not in error["long_message"]


async def test_the_openapi_document_tells_every_operation(backend: Backend) -> None:
    response = await backend.http.get("/api/openapi.json")
    document = response.json()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert {(operation.method, f"/v1{operation.path}") for operation in OPERATIONS} <= described
    ids = [m["operationId"] for methods in document["paths"].values() for m in methods.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.conformance("clerk-backend", 21)
def test_a_deletion_answers_what_is_gone() -> None:
    """Of what is taken out of something, that thing is answered."""
    others = {}
    for operation in OPERATIONS:
        if operation.method == "DELETE" and operation.answer is not None:
            members = set(operation.answer.__struct_fields__)
            if not {"object", "deleted"} <= members:
                others[operation.path] = operation.answer.__name__
    assert others == {
        "/organization_roles/{organization_role_id}/permissions/{permission_id}": "Role",
        "/organizations/{organization_id}/logo": "Organization",
        "/organizations/{organization_id}/memberships/{user_id}": "OrganizationMembership",
        "/users/{user_id}/backup_code": "UserId",
        "/users/{user_id}/mfa": "UserId",
        "/users/{user_id}/profile_image": "User",
        "/users/{user_id}/totp": "UserId",
    }


@pytest.mark.conformance("clerk-backend-traps", 3)
def test_a_success_has_the_status_that_the_sdks_take() -> None:
    """Schemathesis holds the answers to it, in test_described.py."""
    odd = {
        f"{operation.method} {operation.path}": operation.status
        for operation in OPERATIONS
        if operation.status != 200
    }
    assert odd == {
        "POST /m2m_tokens": 201,
        "POST /api_keys": 201,
        "POST /instance/change_domain": 202,
        "PATCH /instance": 204,
        "DELETE /webhooks/svix": 204,
        "POST /oauth_applications/{oauth_application_id}/revoke_token": 204,
    }


@pytest.mark.conformance("clerk-backend-traps", 9)
@pytest.mark.conformance("clerk-backend", 15)
def test_a_query_takes_what_both_sdks_send() -> None:
    read = read_query(
        [("user_id", "a"), ("user_id", "b"), ("last_active_since", "10.0"), ("banned", "true"), ("x", "y")],
        Filter,
    )
    assert read == Filter(user_id=("a", "b"), last_active_since=10, banned=True)
    assert read_query([("limit", "10.0"), ("offset", "0.0")], Page) == Page(limit=10, offset=0)


@pytest.mark.parametrize(
    "pairs", [[("limit", "0")], [("limit", "501")], [("offset", "-1")], [("limit", "ten")]]
)
def test_a_page_out_of_range_is_a_wrong_value(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(Refused) as refused:
        read_query(pairs, Page)
    assert (refused.value.status, refused.value.errors[0].code) == (422, "form_param_value_invalid")
    assert refused.value.errors[0].param == pairs[0][0]


@pytest.mark.conformance("clerk-backend", 13)
@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"", 422, "form_param_missing", "name"),
        (b"{}", 422, "form_param_missing", "name"),
        (b'{"name":"x","colour":1}', 422, "form_param_unknown", "colour"),
        (b'{"name":1}', 422, "form_param_type_invalid", "name"),
        (b'{"name":null}', 422, "form_param_nil", "name"),
        (b'{"name":"x","age":-1}', 422, "form_param_value_invalid", "age"),
        (b'{"name":"x","tags":[1]}', 422, "form_param_type_invalid", "tags[0]"),
        (b"[]", 400, "request_body_invalid", None),
        (b"nonsense", 400, "request_body_invalid", None),
        (b'{"name":"\xff"}', 400, "request_body_invalid", None),
    ],
)
def test_a_wrong_body_is_told_by_its_member(body: bytes, status: int, code: str, param: str | None) -> None:
    with pytest.raises(Refused) as refused:
        read_body(body, "application/json; charset=utf-8", Wish)
    problem = refused.value.errors[0]
    assert (refused.value.status, problem.code, problem.param) == (status, code, param)


def test_an_empty_body_needs_no_content_type_and_another_kind_is_refused() -> None:
    assert read_body(b"", "", NoBody) == NoBody()
    assert read_body(b"anything", "text/plain", NoBody) == NoBody()
    with pytest.raises(Refused) as refused:
        read_body(b"name=x", "application/x-www-form-urlencoded", Wish)
    assert refused.value.status == 415


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_wish_or_a_refusal(body: bytes) -> None:
    try:
        assert isinstance(read_body(body, "application/json", Wish), Wish)
    except Refused as refused:
        assert refused.status in (400, 422)


#: Judged by the rules of templates, whose refusals have codes of their own.
JUDGED_ELSEWHERE = {"TemplateBody.lifetime", "TemplateBody.allowed_clock_skew"}


def unbounded(kind: msgspec.inspect.Type, where: str) -> Iterator[str]:
    """Whole numbers that may be larger than a database counts with: 500 where 422 was meant."""
    if isinstance(kind, msgspec.inspect.IntType):
        if kind.ge is None or kind.le is None:
            yield where
    elif isinstance(kind, msgspec.inspect.StructType):
        for member in kind.fields:
            yield from unbounded(member.type, f"{where}.{member.encode_name}")
    elif isinstance(kind, msgspec.inspect.UnionType):
        for each in kind.types:
            yield from unbounded(each, where)
    elif isinstance(kind, (msgspec.inspect.ListType, msgspec.inspect.VarTupleType)):
        yield from unbounded(kind.item_type, where)


def test_every_number_of_a_query_or_body_has_bounds() -> None:
    found = set()
    for operation in OPERATIONS:
        for kind in (operation.query, operation.body):
            if kind not in (NoBody, Upload):
                name = getattr(kind, "__name__", operation.name)
                found |= set(unbounded(msgspec.inspect.type_info(kind), name))
    assert found == JUDGED_ELSEWHERE


@pytest.mark.parametrize(("path", "status"), [("/api/v1/machines", 422), ("/api/api_keys", 400)])
async def test_a_number_beyond_what_a_database_counts_with_is_a_wrong_value(
    backend: Backend, path: str, status: int
) -> None:
    answer = await backend.http.get(path, params={"subject": "user_x", "offset": str(10**19)})
    assert answer.status_code == status, answer.text
