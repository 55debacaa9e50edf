"""What other parties say never reaches the terminal as anything but text."""

import pytest

from doorward.cli.listing import listed
from doorward.cli.output import fail, plain
from doorward.client.discovery import Discovered
from doorward.t3_connect.messages import Endpoint, EnvironmentEntry, ServiceEntry

CLEARS_THE_SCREEN = "box\x1b[2J\x1b]0;owned\x07\u202e\x9b31m\r\nMachines: none"
SHOWN = "box[2J]0;owned31mMachines: none"


def test_a_foreign_word_loses_what_a_terminal_acts_upon() -> None:
    assert plain(CLEARS_THE_SCREEN) == SHOWN


def test_a_failure_that_quotes_a_machine_keeps_its_own_lines_only(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fail("first \x1b[31mline\nsecond\x07 line")
    assert capsys.readouterr().err == "Error: first [31mline\nsecond line\n"


def test_the_list_shows_a_hostile_machines_name_as_text() -> None:
    hostile = EnvironmentEntry(
        environment_id="env\x1b[A",
        label=CLEARS_THE_SCREEN,
        endpoint=Endpoint(http_base_url="https://a.z/", ws_base_url="wss://a.z/ws", provider_kind="manual"),
        linked_at="2026-11-20T00:00:00Z",
        services=(ServiceEntry(name="no\x1bte", url="https://note.z/\x07"),),
    )
    assert listed(Discovered(hostile, "error", "gone\x1b[A")) == [
        f"{SHOWN}  unknown  env[A",
        f"  {'note':<20} https://note.z/",
        "  gone[A",
    ]
