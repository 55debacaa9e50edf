"""`connect login`: three ways in, none of which trusts what anybody else brings."""

import asyncio
import json
import stat
import uuid
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from doorward.client import sign_in as ways
from doorward.client.errors import SignInFailed
from doorward.environment.keys import names
from doorward.outbound import Outbound
from tests.cli.conftest import as_ada, secrets_of
from tests.e2e.installations import OneProcess
from tests.e2e.processes import Program, command

pytestmark = [pytest.mark.xdist_group("the one callback port")]


@pytest.fixture
def login(server: OneProcess, tmp_path):
    """`login(*options, **variables)` starts the command; it is ended with the test."""
    started: list[Program] = []

    def start(*options: str, **variables: str) -> Program:
        environ = {**server.client_environ(), **variables}
        program = Program(["connect", "login", *options], home=tmp_path, environ=environ, has_input=True)
        started.append(program)
        return program

    yield start
    for program in started:
        if program.process.poll() is None:
            program.kill()


def allowed(server: OneProcess, url: str) -> str:
    """Where Ada's browser goes after she opened the URL and allowed it."""
    went: list[str] = []

    async def open_and_allow(account) -> None:
        went.append(await account.authorize(dict(parse_qsl(urlsplit(url).query))))

    asyncio.run(as_ada(server, open_and_allow))
    return went[0]


def pasted(server: OneProcess, url: str) -> str:
    """What the page at the end of the URL shows, without a script running."""
    page = httpx.get(local(server, allowed(server, url)), headers={"host": urlsplit(server.accounts).netloc})
    assert page.status_code == 200
    shown = page.text.partition("<code>")[2].partition("</code>")[0]
    assert shown
    return shown


def local(server: OneProcess, url: str) -> str:
    return url.replace(server.accounts, f"http://127.0.0.1:{server.port}")


@pytest.mark.conformance("connect-environment", 178)
def test_in_a_browser_on_this_machine(server: OneProcess, login, tmp_path):
    program = login(BROWSER="true")
    program.wait_for(r"^Open this URL to authorize T3 Connect:$")
    url = program.wait_for(r"^(http\S+)$").group(1)
    asked = dict(parse_qsl(urlsplit(url).query))
    assert list(asked) == [
        "client_id",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
        "code_challenge",
        "code_challenge_method",
    ]
    assert asked["redirect_uri"] == "http://127.0.0.1:34338/callback"
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["scope"] == "openid profile email"
    assert uuid.UUID(asked["state"]).version == 4
    back = allowed(server, url)
    answer = dict(parse_qsl(urlsplit(back).query))
    for wrong in ({**answer, "state": "somebody-else's"}, {"state": answer["state"]}, {}):
        refused = httpx.get(f"{asked['redirect_uri']}?{urlencode(wrong)}")
        assert (refused.status_code, refused.text) == (400, "Invalid T3 Connect authorization callback.")
    done = httpx.get(back)
    assert done.status_code == 200
    assert "<h1>T3 Connect authorization complete</h1>" in done.text
    assert "You can close this window and return to your terminal." in done.text
    program.wait_for(r"^Signed in to T3 Connect\.$")
    assert program.finish() == 0

    path = tmp_path / "userdata" / "secrets" / f"{names.CLI_TOKEN}.bin"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(json.loads(path.read_bytes())) == {"accessToken", "refreshToken", "expiresAtEpochMs"}
    again = command("connect", "login", home=tmp_path, environ=server.client_environ())
    assert again.stdout == "Signed in to T3 Connect.\n"


@pytest.mark.anyio
@pytest.mark.conformance("connect-environment", 179)
async def test_a_sign_in_nobody_finishes_ends_and_frees_its_port():
    assert ways.WAIT_SECONDS == 600
    outbound = Outbound()
    for _ in range(2):  # the second would find the port taken
        with pytest.raises(SignInFailed, match=r"^Timed out waiting for T3 Connect authorization"):
            await ways.authorize_on_loopback(
                outbound,
                accounts_origin="https://accounts.example.com",
                client_id="doorward-cli",
                show_url=lambda _: None,
                wait_seconds=0.1,
            )
    await outbound.close()


def test_by_a_code_pasted_from_a_browser_anywhere(server: OneProcess, login, tmp_path):
    program = login("--paste")
    url = program.wait_for(r"^(http\S+)$").group(1)
    program.wait_for("copy it, paste it here and press Enter")
    code = pasted(server, url)
    # A terminal may break the line it shows, and people copy blanks along.
    program.type(f"  {code[:20]} {code[20:]} \n")
    program.wait_for(r"Signed in to T3 Connect\.$")
    assert program.finish() == 0
    assert secrets_of(tmp_path).get(names.CLI_TOKEN) is not None


def test_a_stored_sign_in_that_is_dead_does_not_stand_in_the_way_of_a_new_one(
    server: OneProcess, login, tmp_path
):
    """T3's command would fail here until somebody thought of `logout`."""
    dead = {"accessToken": "a", "refreshToken": "nobody's", "expiresAtEpochMs": 0}
    secrets_of(tmp_path).set(names.CLI_TOKEN, json.dumps(dead).encode())
    program = login("--paste")
    code = pasted(server, program.wait_for(r"^(http\S+)$").group(1))
    program.type(f"{code}\n")
    program.wait_for(r"Signed in to T3 Connect\.$")
    assert program.finish() == 0
    assert json.loads(secrets_of(tmp_path).get(names.CLI_TOKEN) or b"")["accessToken"] != "a"


def test_a_program_gets_and_gives_one_object_a_line(server: OneProcess, login):
    program = login("--paste", "--json")
    asked = program.wait_for_json()
    program.type(pasted(server, str(asked["authorizationUrl"])) + "\n")
    assert program.wait_for_json() == {"authenticated": True}
    assert program.finish() == 0


def test_a_code_of_somebody_elses_sign_in_is_refused_and_the_own_one_still_taken(
    server: OneProcess, login, tmp_path
):
    """An attacker makes a person paste the end of the attacker's own sign-in, to have them work in the attacker's account."""
    program, attacker = login("--paste"), login("--paste")
    url = program.wait_for(r"^(http\S+)$").group(1)
    foreign = pasted(server, attacker.wait_for(r"^(http\S+)$").group(1))
    program.type(f"{foreign}\n\nnonsense\n{foreign.partition('.')[0]}\n")
    for _ in range(3):
        program.wait_for("This is not the code of this sign-in")
    assert secrets_of(tmp_path).get(names.CLI_TOKEN) is None
    program.type(pasted(server, url) + "\n")
    program.wait_for(r"Signed in to T3 Connect\.$")


def test_a_foreign_code_under_the_right_state_fails_for_want_of_the_verifier(
    server: OneProcess, login, tmp_path
):
    """Even an attacker who saw the state, on a shared screen say, cannot make their code good for this terminal."""
    program, attacker = login("--paste"), login("--paste")
    state = dict(parse_qsl(urlsplit(program.wait_for(r"^(http\S+)$").group(1)).query))["state"]
    foreign = pasted(server, attacker.wait_for(r"^(http\S+)$").group(1))
    program.type(f"{foreign.partition('.')[0]}.{state}\n")
    program.wait_for(r"Could not authorize the T3 Connect CLI\.")
    assert program.finish() == 1
    assert secrets_of(tmp_path).get(names.CLI_TOKEN) is None


def test_a_code_seen_on_its_way_is_of_no_use_without_the_verifier(server: OneProcess, login):
    """Who reads the page over a shoulder holds a code, and no verifier."""
    program = login("--paste")
    code = pasted(server, program.wait_for(r"^(http\S+)$").group(1)).partition(".")[0]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": f"{server.accounts}/connect/callback",
        "client_id": "doorward-cli",
        "code_verifier": "a" * 43,
    }
    host = {"host": urlsplit(server.accounts).netloc}
    answer = httpx.post(f"http://127.0.0.1:{server.port}/oauth/token", data=form, headers=host)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_the_end_of_input_ends_the_sign_in(server: OneProcess, tmp_path):
    done = command("connect", "login", "--paste", home=tmp_path, environ=server.client_environ())
    assert done.returncode == 1
    assert "Could not authorize the T3 Connect CLI. No code was pasted." in done.stderr


def test_by_a_code_typed_elsewhere_is_the_way_where_no_browser_can_come_back(login):
    program = login(SSH_CONNECTION="192.0.2.1 1 192.0.2.2 22", BROWSER="true")
    program.wait_for(r"^On any device, open \S+/device and enter this code:$")
    program.wait_for(r"^    [A-Z]{4}-[A-Z]{4}$")


def test_two_ways_at_once_are_a_usage_error(tmp_path):
    done = command("connect", "login", "--paste", "--device", home=tmp_path)
    assert done.returncode == 2
    assert "Choose one of --device and --paste." in done.stderr
