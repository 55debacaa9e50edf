import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import URL

from doorward.identity.pages.redirects import may_leave, own_path

ORIGIN = "http://accounts.localhost:8080"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/machines", "/machines"),
        ("/", "/"),
        ("/oauth/authorize?client_id=x&redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback", None),
        ("/device?user_code=WDJB-MJHT", None),
        (f"{ORIGIN}/machines", "/machines"),
        (f"{ORIGIN}/oauth/authorize?state=//x", "/oauth/authorize?state=//x"),
    ],
)
def test_paths_of_our_own_are_followed(target: str, path: str | None) -> None:
    assert own_path(target, ORIGIN) == (path or target)


@pytest.mark.parametrize(
    "target",
    [
        None,
        "",
        "machines",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " /machines",
        "http://evil.example/",
        "https://accounts.localhost:8080/machines",
        f"{ORIGIN}.evil.example/",
        f"{ORIGIN}@evil.example/",
        f"{ORIGIN}//evil.example/",
        "http:/machines",
        "http:///evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "/machines\x00",
        "/machines\x7f",
    ],
)
def test_nothing_else_is_followed(target: str | None) -> None:
    assert own_path(target, ORIGIN) is None


@given(st.text(alphabet="/\\@:.?#%htp evil\t\n", max_size=30))
def test_what_is_followed_stays_at_our_origin(target: str) -> None:
    path = own_path(target, ORIGIN)
    if path is not None:
        assert path.startswith("/")
        assert not path.startswith(("//", "/\\"))
        assert URL(f"{ORIGIN}{path}").netloc == "accounts.localhost:8080"


def test_only_authorizing_may_leave_for_another_host() -> None:
    assert may_leave("/oauth/authorize?client_id=x")
    assert not may_leave("/oauth-consent?client_id=x")
    assert not may_leave("/machines?next=/oauth/authorize")
