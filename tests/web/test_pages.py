import re
from collections.abc import AsyncIterator

import httpx
import pytest
from jinja2 import UndefinedError

from doorward.web import security_headers, templates
from tests.web.gallery import PHRASE, gallery

ORIGIN = "http://accounts.localhost:8080"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gallery()), base_url=ORIGIN) as client:
        yield client


@pytest.mark.anyio
async def test_every_script_and_style_carries_the_nonce_of_its_own_answer(client: httpx.AsyncClient) -> None:
    first, second = await client.get("/"), await client.get("/")
    nonces = []
    for answer in (first, second):
        (nonce,) = set(re.findall(r"'nonce-([^']+)'", answer.headers["content-security-policy"]))
        loading = re.findall(r"<(?:script|link rel=\"stylesheet\")[^>]*>", answer.text)
        assert len(loading) == 3
        assert all(f'nonce="{nonce}"' in element for element in loading)
        nonces.append(nonce)
    assert nonces[0] != nonces[1]


@pytest.mark.anyio
async def test_no_page_carries_inline_styles_or_handlers(client: httpx.AsyncClient) -> None:
    text = (await client.get("/")).text
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", text) == []


def test_what_rooms_share_is_compiled_once() -> None:
    identity, console = templates("doorward.identity.pages"), templates("doorward.identity.console")
    shared, again = (room.get_template("components.html").root_render_func for room in (identity, console))
    assert shared is not again
    assert shared.__code__ is again.__code__


def test_the_policy_allows_nothing_by_default() -> None:
    headers = security_headers(
        "abc", connect=["http://relay.localhost:8080"], form_action=["https://x.example"]
    )
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'nonce-abc'"
    assert policy["connect-src"] == "'self' http://relay.localhost:8080"
    assert policy["form-action"] == "'self' https://x.example"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"


def test_text_never_becomes_markup() -> None:
    template = templates().from_string(
        '{% import "components.html" as ui %}{{ ui.notice(text) }}{{ ui.copyable(text, "it") }}'
    )
    rendered = template.render(text='<img src=x onerror="alert(1)">')
    assert "<img" not in rendered
    assert rendered.count("&lt;img") == 3


def test_an_unknown_name_in_a_template_is_an_error_and_not_an_empty_string() -> None:
    with pytest.raises(UndefinedError):
        templates().from_string("{{ nobody }}").render()


@pytest.mark.parametrize("phrase", ["copper gentle lantern outdoor velvet", PHRASE + " seven", ""])
def test_a_key_phrase_that_is_not_six_words_is_never_shown(phrase: str) -> None:
    template = templates().from_string('{% import "components.html" as ui %}{{ ui.key_phrase(phrase) }}')
    with pytest.raises(ValueError, match="six words"):
        template.render(phrase=phrase)
