"""What the documentation shows can be followed: its links lead somewhere, and its samples are of the language they name."""

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.repository.tracked import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
SAMPLE = re.compile(r"^([ ]*)```(python|json|toml|yaml)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = [
        re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", found) for found in HEADING.findall(page.read_text("utf-8"))
    ]
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def fault_of(page: Path, link: str) -> str | None:
    if link.startswith(("https://", "mailto:")):
        return None
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return "leads nowhere"
    if anchor and anchor not in anchors(target):
        return "names no heading"
    return None


@pytest.mark.parametrize("link", ["absent.md", "#absent", "verify.md#absent", "http://example.com/"])
def test_a_link_that_leads_nowhere_is_found(link: str) -> None:
    assert fault_of(ROOT / "docs" / "webhooks.md", link) is not None


def test_every_link_leads_somewhere() -> None:
    links = [(page, link) for page in PAGES for link in LINK.findall(page.read_text("utf-8"))]
    assert len(links) > 50
    found = [(page.name, link, fault) for page, link in links if (fault := fault_of(page, link)) is not None]
    assert found == []


def read(language: str, text: str) -> None:
    """Raises SyntaxError, ValueError or YAMLError where the sample is none of its language."""
    match language:
        case "python":
            # `await` stands where a reader's handler would be around it.
            compile(text, "sample", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        case "json":
            json.loads(text)
        case "toml":
            tomllib.loads(text)
        case _:
            yaml.safe_load(text)


def test_every_sample_is_of_the_language_it_names() -> None:
    samples = [
        (page.name, language, text)
        for page in PAGES
        for _, language, text in SAMPLE.findall(page.read_text("utf-8"))
    ]
    assert len(samples) > 10
    for page, language, text in samples:
        try:
            read(language, text)
        except (SyntaxError, ValueError, yaml.YAMLError) as error:
            pytest.fail(f"{page}: {error}\n{text}")


def test_the_address_of_the_backend_api_is_the_same_on_every_page() -> None:
    """Clerk's SDKs and `doorward.verify` add `/v1/…` to it: without `/api` they find nothing."""
    named = {
        (page.name, address)
        for page in PAGES
        for address in re.findall(r"CLERK_API_URL=(https://accounts\.\S+)", page.read_text("utf-8"))
    }
    assert {page for page, _ in named} == {"verify.md", "clerk-sdks.md"}
    assert {address for _, address in named} == {"https://accounts.example.com/api"}
