import hashlib
from importlib import resources

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from doorward.web import StaticAssets


@pytest.fixture
def assets() -> StaticAssets:
    return StaticAssets("doorward.web")


def client_of(assets: StaticAssets) -> httpx.AsyncClient:
    app = Starlette(routes=[Mount(assets.prefix, assets)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://accounts.localhost")


def test_the_url_names_the_content(assets: StaticAssets) -> None:
    content = (resources.files("doorward.web") / "static" / "doorward.css").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert assets.url("doorward.css") == f"/assets/doorward.{digest[:16]}.css"


@pytest.mark.anyio
async def test_a_file_may_be_kept_for_ever_and_is_not_sniffed(assets: StaticAssets) -> None:
    async with client_of(assets) as client:
        answer = await client.get(assets.url("doorward.js"))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "path",
    ["doorward.css", "doorward.0000000000000000.css", "%2e%2e/pages.py", "", "doorward.css/"],
)
async def test_nothing_else_is_there(assets: StaticAssets, path: str) -> None:
    async with client_of(assets) as client:
        answer = await client.get(f"/assets/{path}")
    assert answer.status_code == 404
    assert answer.headers.get("cache-control") == "no-store"


@pytest.mark.anyio
async def test_files_are_only_read(assets: StaticAssets) -> None:
    async with client_of(assets) as client:
        assert (await client.post(assets.url("doorward.css"))).status_code == 405
        head = await client.head(assets.url("doorward.css"))
    assert head.status_code == 200
    assert head.content == b""


def test_modules_are_importable_by_a_name_that_does_not_change(assets: StaticAssets) -> None:
    assert assets.import_map()["imports"] == {
        f"doorward/{name}": assets.url(name) for name in ("confirmation.js", "doorward.js", "notify.js")
    }


def test_two_packages_may_not_have_a_file_of_the_same_name() -> None:
    with pytest.raises(ValueError, match="both have a static file"):
        StaticAssets("doorward.web", "doorward.web")
