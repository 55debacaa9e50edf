"""`expose`: what it needs to start, and what it does without."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from doorward.cli.expose import default_name
from doorward.environment.keys import names
from doorward.environment.local import open_machine
from doorward.environment.settings import Service
from tests.cli.conftest import Listener, secrets_of
from tests.cli.test_status import store_token
from tests.e2e.processes import Program, command


def test_nobody_signed_in_is_told_the_command(tmp_path, nobody):
    done = command("expose", "9", home=tmp_path, environ=nobody)
    assert done.returncode == 1
    assert "Nobody is signed in here. Run `doorward connect login` first." in done.stderr
    assert secrets_of(tmp_path).get(names.DESIRED_LINK) is None


def test_an_accounts_server_that_is_down_keeps_no_agent_from_starting(tmp_path, nobody, listener: Listener):
    store_token(tmp_path, lasts_ms=0)
    agent = Program(["expose", "9", "--environment-port", "0"], home=tmp_path, environ=nobody)
    try:
        agent.wait_for("Ctrl-C stops exposing")
        assert listener.connections > 0
    finally:
        assert agent.stop() == 0


@pytest.mark.parametrize("name", ["Bad Name", "a.b", "x" * 64, "-a"])
def test_a_name_that_is_no_label_is_wrong_usage_and_changes_nothing(tmp_path, nobody, name):
    done = command("expose", "9", f"--name={name}", home=tmp_path, environ=nobody)
    assert done.returncode == 2
    assert f"Invalid value for --name: {name!r}" in done.stderr
    assert not (tmp_path / "userdata").exists()


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("Ada's-MacBook.local", "ada-s-macbook-local"),
        ("büro", "b-ro"),
        ("станция", "service-9"),
        ("a" * 62 + "--b", "a" * 62),
        ("", "service-9"),
    ],
)
def test_any_name_of_a_machine_gives_a_service_one(machine, expected):
    assert Service(name=default_name(machine, 9), port=9).name == expected


def test_a_service_is_taken_back_with_or_without_a_server(tmp_path, nobody):
    async def add() -> None:
        async with open_machine(tmp_path) as machine:
            await machine.add_service(Service(name="notes", port=9))

    asyncio.run(add())
    assert command("expose", "9", "--remove", "notes", home=tmp_path, environ=nobody).returncode == 2
    assert (
        command("expose", "--remove", "notes", "--name", "n", home=tmp_path, environ=nobody).returncode == 2
    )
    assert "Service: notes" in command("connect", "status", home=tmp_path, environ=nobody).stdout
    done = command("expose", "--remove", "notes", home=tmp_path)
    assert (done.returncode, done.stdout) == (0, "notes is exposed no longer.\n")
    assert "Service: notes" not in command("connect", "status", home=tmp_path, environ=nobody).stdout
    again = command("expose", "--remove", "notes", home=tmp_path, environ=nobody)
    assert (again.returncode, again.stdout) == (0, "No service named notes is exposed here.\n")


def test_a_refused_name_is_told_with_the_way_out(tmp_path, nobody):
    async def refuse() -> None:
        async with open_machine(tmp_path) as machine:
            await machine.add_service(Service(name="notes", port=9))

    asyncio.run(refuse())
    with closing(sqlite3.connect(tmp_path / "userdata" / "state.sqlite")) as database:
        database.execute("UPDATE environment_services SET refusal = 'name_taken'")
        database.commit()
    told = command("connect", "status", home=tmp_path, environ=nobody).stdout
    assert "  Service: notes  This name belongs to somebody else. Expose it under another one.\n" in told


def test_pins_that_cannot_be_read_are_told_before_anything_is_exposed(tmp_path, nobody):
    store_token(tmp_path)
    done = command("expose", "9", home=tmp_path, environ={**nobody, "DOORWARD_EDGE_PINS": "sha256//short"})
    assert done.returncode == 1
    assert "'sha256//short' is not a pin" in done.stderr
    assert "DOORWARD_EDGE_PINS" in done.stderr
    assert secrets_of(tmp_path).get(names.DESIRED_LINK) is None
