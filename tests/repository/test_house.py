"""The rules of the house that a machine can check."""

import ast
from pathlib import Path

from tests.repository.tracked import ROOT, tracked_files

MAX_LINES = 600
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}

# In pieces, so that this file does not break its own rule.
REGISTRIES = ["pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "crates" + ".io"]


def code(*suffixes: str) -> list[Path]:
    return [path for path in tracked_files() if path.parts[0] == "src" and path.suffix in suffixes]


def test_no_file_names_a_package_registry_or_a_path_of_one_machine() -> None:
    forbidden = [*REGISTRIES, f"{ROOT}/", f"{Path.home()}/"]
    found = []
    for path in tracked_files():
        text = (ROOT / path).read_bytes().decode("utf-8", errors="ignore")
        found += [f"{path}: {word}" for word in forbidden if word in text]
    assert found == []


def test_no_source_file_is_longer_than_a_reader_can_hold() -> None:
    lengths = {path: len((ROOT / path).read_text().splitlines()) for path in code(".py", ".js", ".html")}
    assert {str(path): length for path, length in lengths.items() if length > MAX_LINES} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [str(path) for path in code(".py") if {path.stem, *path.parent.parts} & VAGUE] == []


def test_every_package_says_what_it_owns() -> None:
    packages = [path for path in code(".py") if path.name == "__init__.py"]
    assert packages
    silent = [str(path) for path in packages if not ast.get_docstring(ast.parse((ROOT / path).read_text()))]
    assert silent == []


def test_every_decision_has_a_number_of_its_own_and_says_it() -> None:
    """Documents and comments name decisions by number alone."""
    decisions = [path for path in tracked_files() if path.parent == Path("docs/adr")]
    assert decisions
    numbers = [path.name.partition("-")[0] for path in decisions]
    assert sorted(set(numbers)) == sorted(numbers)
    titles = {path.name: (ROOT / path).read_text().partition("\n")[0] for path in decisions}
    assert [
        name for name, title in titles.items() if not title.startswith(f"# {int(name.partition('-')[0])}. ")
    ] == []
