"""Attacks on a whole installation as it runs: four processes, real sockets, a linked machine and a device inside."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from doorward.client.configuration import CLI_CLIENT_ID
from doorward.client.errors import ClientError, SignInRequired
from doorward.environment.keys import names
from doorward.t3_connect.messages import ConnectAuthorized
from tests import databases
from tests.e2e.people import EMAIL, PASSWORD
from tests.e2e.storm import World, until
from tests.e2e.visiting import Device
from tests.faults.toxics import ToxicProxy
from tests.faults.visitor import Visitor, approved_visitor
from tests.faults.worlds import FourProcesses, linked

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("running-installation")]

MINT_PATH = "/api/t3-connect/mint-credential"


@pytest.fixture(scope="module")
async def world(anyio_backend: str) -> AsyncIterator[World]:
    # Where another user can come as far as the data folders' own doors.
    databases.run_folder().chmod(0o711)
    folder = databases.run_folder() / f"installation-{os.getpid()}"
    folder.mkdir(mode=0o755)
    installation = FourProcesses(folder)
    async with installation.roads(), linked(installation) as running:
        yield running


@pytest.fixture(scope="module")
async def visitor(world: World) -> Visitor:
    return await approved_visitor(world)


# What travels between relay and machine, heard and sent again.


@pytest.fixture
async def road(world: World) -> AsyncIterator[ToxicProxy]:
    """The relay's way to the machine, tapped."""
    proxy: ToxicProxy = world.installation.visitors  # type: ignore[attr-defined]
    proxy.heard = bytearray()
    yield proxy
    proxy.heard = None
    proxy.heal()


def mint_requests(heard: bytes) -> list[str]:
    """The signed requests in what was heard."""
    return re.findall(rf'POST {MINT_PATH}.*?"proof":"([^"]+)"', heard.decode("latin-1"), re.DOTALL)


async def heard_requests(road: ToxicProxy, count: int) -> list[str]:
    async def look() -> list[str]:
        return mint_requests(bytes(road.heard or b""))

    return await until("the relay asks", look, lambda found: len(found) == count, seconds=20)


async def send_to_machine(world: World, visitor: Visitor, proof: str) -> httpx.Response:
    """As the relay does, by another road: the edge takes it from anybody."""
    host = httpx.URL(visitor.device.machine.endpoint.http_base_url).netloc.decode()
    base = f"http://127.0.0.1:{world.installation.edge_port}"
    async with httpx.AsyncClient(base_url=base, timeout=30) as client:
        return await client.post(MINT_PATH, json={"proof": proof}, headers={"host": host})


async def test_a_mint_request_that_was_heard_is_worth_nothing_afterwards(
    world: World, visitor: Visitor, road: ToxicProxy
):
    assert isinstance(await visitor.device.knock(), ConnectAuthorized)
    (proof,) = await heard_requests(road, 1)
    answers = await asyncio.gather(*(send_to_machine(world, visitor, proof) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {409}
    assert not any("credential" in answer.json() for answer in answers)


async def test_of_a_mint_request_sent_many_times_before_it_arrives_one_counts_and_only_for_its_device(
    world: World, visitor: Visitor, road: ToxicProxy
):
    road.stall()
    knock = asyncio.ensure_future(visitor.device.knock())
    (proof,) = await heard_requests(road, 1)
    answers = await asyncio.gather(*(send_to_machine(world, visitor, proof) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 7]
    road.heal()
    # The relay's own copy came too late: the device hears a failure, not somebody else's answer.
    with pytest.raises(ClientError):
        await knock
    (stolen,) = (answer.json()["credential"] for answer in answers if answer.status_code == 200)
    thief = await world.new_device()
    assert (await thief.redeem(stolen)).status != 200
    assert (await visitor.device.redeem(stolen)).status == 200
    assert (await visitor.device.redeem(stolen)).status != 200


async def test_requests_that_overtake_each_other_are_answered_each_for_itself(
    world: World, visitor: Visitor, road: ToxicProxy
):
    road.stall()
    knocks = [asyncio.ensure_future(visitor.device.knock()) for _ in range(2)]
    first, second = await heard_requests(road, 2)
    late = await send_to_machine(world, visitor, second)
    early = await send_to_machine(world, visitor, first)
    assert (late.status_code, early.status_code) == (200, 200)
    assert late.json()["credential"] != early.json()["credential"]
    road.heal()
    outcomes = await asyncio.gather(*knocks, return_exceptions=True)
    assert all(isinstance(outcome, ClientError) for outcome in outcomes), outcomes


async def test_an_answer_meant_for_another_request_is_not_passed_on(
    world: World, visitor: Visitor, road: ToxicProxy
):
    """The machine's signed answers name the request: one cannot be given for another, nor changed."""
    road.stall()
    knock = asyncio.ensure_future(visitor.device.knock())
    (proof,) = await heard_requests(road, 1)
    answer = (await send_to_machine(world, visitor, proof)).json()
    road.heal()
    with pytest.raises(ClientError):
        await knock
    assert proof.split(".")[2] not in answer["proof"]
    fresh = await visitor.device.knock()
    assert isinstance(fresh, ConnectAuthorized)
    assert fresh.credential != answer["credential"]


# Names a request claims.


async def raw(port: int, request: str) -> tuple[int, str]:
    """The status and the text of the answer to these very bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode("latin-1"))
    answer = (await asyncio.wait_for(reader.read(), 20)).decode("latin-1")
    writer.close()
    return int(answer.split(" ", 2)[1]), answer


@pytest.mark.parametrize("part", ["accounts", "relay"])
async def test_a_control_host_answers_for_its_own_name_alone(world: World, part: str):
    installation = world.installation
    port = getattr(installation, f"{part}_port")
    own = f"{part}.localhost:{port}"
    path = {"accounts": "/.well-known/jwks.json", "relay": "/.well-known/oauth-authorization-server"}[part]

    def request(*hosts: str, target: str = path) -> str:
        lines = "".join(f"Host: {host}\r\n" for host in hosts)
        return f"GET {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n"

    status, _ = await raw(port, request(own))
    assert status != 421
    for hosts in (
        ["evil.example"],
        [f"{part}.localhost"],
        [f"{own}.evil.example"],
        [f"evil.example@{own}"],
        [f"{part}.localhost.:{port}"],
        [f"127.0.0.1:{port}"],
        [f"demo.env.localhost:{port}"],
        [own, "evil.example"],
        ["evil.example", own],
        [],
        [""],
    ):
        status, answer = await raw(port, request(*hosts))
        assert status in (400, 421), (hosts, answer[:200])
    status, answer = await raw(port, request("evil.example", target=f"http://{own}{path}"))
    assert status in (400, 421), answer[:200]


async def test_no_link_in_a_mail_and_no_address_in_an_answer_comes_from_what_a_request_claims(world: World):
    installation = world.installation
    claims = {
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "gopher",
        "forwarded": "host=evil.example;proto=gopher",
        "x-original-url": "http://evil.example/",
        "x-rewrite-url": "/evil.example",
        "x-forwarded-server": "evil.example",
    }
    own = {"origin": installation.accounts, "host": f"accounts.localhost:{installation.accounts_port}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{installation.accounts_port}") as client:
        heads = {**own, **claims}
        answers = [
            await client.get("/.well-known/openid-configuration", headers=heads),
            await client.get("/oauth/authorize?client_id=doorward-cli", headers=heads),
            await client.get("/machines", headers=heads),
            await client.post("/sign-in/forgot", data={"email": EMAIL}, headers=heads),
        ]
    for answer in answers:
        assert "evil.example" not in answer.text + str(answer.headers), answer.request.url
        assert "gopher" not in answer.text + str(answer.headers)
    identity = installation.programs["identity"]
    await asyncio.to_thread(identity.wait_for, "resets your Doorward password")
    assert "evil.example" not in identity.output


# Other people's tokens.


async def test_another_applications_token_opens_nothing_at_the_relay(world: World):
    """Signed by the same accounts server, for the same person, with the same scopes: for somebody else."""
    path = world.installation.folder / "identity" / "data" / "doorward.sqlite"
    with closing(sqlite3.connect(path, timeout=20)) as connection, connection:
        row = connection.execute("SELECT * FROM identity_oauth_clients WHERE client_id = ?", (CLI_CLIENT_ID,))
        names = [column[0] for column in row.description]
        values = dict(zip(names, row.fetchone(), strict=True))
        other = {
            name: "another-application" if name in ("id", "client_id") else value
            for name, value in values.items()
        }
        marks = ", ".join("?" * len(other))
        columns = ", ".join(other)
        connection.execute(
            f"INSERT INTO identity_oauth_clients ({columns}) VALUES ({marks})", list(other.values())
        )
    grant = await world.account.grant(client_id="another-application")
    stranger = Device(
        world.outbound, world.installation.relay, grant.access_token, await world.connected_machine()
    )
    with pytest.raises(SignInRequired):
        await stranger.relay.machines()
    assert (await stranger.relay_token(stranger.proof(stranger.relay_token_url))).status == 401
    with pytest.raises(ClientError):
        await stranger.knock()


# Other people's computers.


async def test_another_user_of_the_computer_reads_opens_and_decides_nothing(world: World):
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    installation = world.installation
    done = await asyncio.to_thread(
        subprocess.run,
        [
            sys.executable,
            "-m",
            "tests.security.another_user",
            str(installation.machine_home),
            str(installation.environment_port),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # An identifier, which every visitor is told, and ports, which anybody here can find.
    readable = {Path(file).name for file in found["files"]}
    assert readable <= {"environment-id", "server-runtime.json", "gate-port"}, found["files"]
    assert found["sockets"] == []
    assert set(found["statuses"].values()) <= {401, 403, 410}, found["statuses"]
    for part in ("identity", "relay"):
        data = installation.folder / part / "data"
        loose = [str(path) for path in data.rglob("*") if path.stat().st_mode & 0o077]
        assert not loose
        assert not data.stat().st_mode & 0o077


# What is written down.


#: Files beside the secrets whose content anybody may know.
PUBLIC = {
    names.LINKED_USER,
    names.RELAY_URL,
    names.RELAY_ISSUER,
    names.MINT_PUBLIC_KEY,
    names.LEGACY_LINK_PUBLIC_KEY,
    names.MANAGED_ENDPOINT,
}
#: Of files with a secret and more beside it: what the secret looks like.
WITHIN = {
    # base64 of a PKCS #8 private key; the public half stands beside it
    names.LINK_KEY_PAIR: r"MC4CAQAw[A-Za-z0-9+/=]+",
    # base64url of JSON; the tunnel's id and name stand beside it
    names.ENDPOINT_RUNTIME: r"eyJ[A-Za-z0-9_-]+",
}


def kept_secrets(home: Path) -> dict[str, str]:
    """Every secret of the machine, by its file's name."""
    found = {}
    for path in sorted((home / "userdata" / "secrets").rglob("*")):
        if path.is_file() and path.stem not in PUBLIC:
            looks = WITHIN.get(path.stem, r"[A-Za-z0-9_+/=.-]{32,}")
            words = re.findall(looks, path.read_text("latin-1").replace("\\n", "\n"))
            found |= {f"{path.name}:{number}": word for number, word in enumerate(words)}
    assert {names.LINK_KEY_PAIR, names.ENDPOINT_RUNTIME} <= {name.partition(".")[0] for name in found}
    return found


async def test_no_secret_of_a_whole_run_is_in_any_output_or_in_a_database(world: World, visitor: Visitor):
    installation = world.installation
    authorized = await visitor.device.knock()
    assert isinstance(authorized, ConnectAuthorized)
    proof = visitor.device.proof(visitor.device.relay_token_url)
    relay_token = (await visitor.device.relay_token(proof)).json(dict)["access_token"]
    grant = await world.account.grant()
    for refused in ("garbage", grant.access_token):
        await world.account.refresh(refused)
    secrets = {
        "the password": PASSWORD,
        "the credential": authorized.credential,
        "the device's session": await visitor.device.connection.token(),
        "the relay's token": relay_token,
        "the access token": grant.access_token,
        "the refresh token": grant.refresh_token or "",
        "a proof": proof,
        **kept_secrets(installation.machine_home),
    }
    assert len(secrets) > 10, "the machine's secrets were not found"
    for command in (
        ("connect", "status"),
        ("connect", "status", "--json"),
        ("connect", "security", "clients", "--json"),
    ):
        secrets_in(await world.told(*command), secrets, " ".join(command))
    for name, program in installation.programs.items():
        secrets_in(program.output, secrets, f"the output of {name}")
    # What a database holds is a hash, or sealed. Tokens are stored where they are used alone: the CLI's own file.
    for part in ("identity", "relay"):
        for path in (installation.folder / part / "data").glob("doorward.sqlite*"):
            secrets_in(path.read_bytes().decode("latin-1"), secrets, str(path.name))
    # The protocol lists unused pairing codes, so the machine keeps them as they are; they live five minutes.
    del secrets["the credential"]
    for path in (installation.machine_home / "userdata").glob("state.sqlite*"):
        secrets_in(path.read_bytes().decode("latin-1"), secrets, str(path.name))


def secrets_in(text: str, secrets: dict[str, str], where: str) -> None:
    found = [name for name, secret in secrets.items() if secret and secret in text]
    assert not found, f"{where} holds {found}"
