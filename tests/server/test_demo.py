"""The demo service streams: nothing of a body is held."""

import hashlib

import httpx
import pytest

from doorward.server.demo import create_demo
from tests.web.browser import served

pytestmark = pytest.mark.anyio


async def test_an_upload_is_counted_and_hashed():
    async with (
        served(create_demo()) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        body = b"door" * 100_000
        answer = await client.post("/upload", content=body)
        assert answer.json() == {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


async def test_a_download_has_just_the_length_asked_for():
    async with (
        served(create_demo()) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        answer = await client.get("/download", params={"bytes": 100_001})
        assert (answer.headers["content-length"], len(answer.content)) == ("100001", 100_001)
        for wrong in ("-1", "x", str(10**12)):
            assert (await client.get("/download", params={"bytes": wrong})).status_code == 400


async def test_its_pages_forbid_inline_script_and_framing():
    async with (
        served(create_demo()) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        policy = (await client.get("/")).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "frame-ancestors 'none'" in policy
