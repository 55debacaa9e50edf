"""The socket, its RPC envelope, and the stream of auth-access events (checklist 144-162)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from doorward.environment.access import MACHINE, Actor
from doorward.environment.api.rpc import RpcConnection
from doorward.environment.api.websocket import ABSENT, methods_for
from doorward.environment.keys import names
from doorward.t3_connect.scopes import ADMINISTRATIVE_SCOPES, STANDARD_SCOPES
from tests.environment.conftest import Machine, MakeMachine

pytestmark = pytest.mark.anyio


class Conversation:
    """One socket's frames, said and heard."""

    def __init__(self, machine: Machine, actor: Actor) -> None:
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.connection = RpcConnection(methods_for(machine.environment, actor), self._hear, absent=ABSENT)

    async def _hear(self, frame: str) -> None:
        self.heard.put_nowait(json.loads(frame))

    async def say(self, message: object) -> None:
        await self.connection.receive(json.dumps(message))

    async def call(self, tag: str, request_id: str = "0") -> None:
        await self.say({"_tag": "Request", "id": request_id, "tag": tag, "payload": {}, "headers": []})

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(60):
            return await self.heard.get()

    async def value(self, request_id: str = "0") -> dict[str, Any]:
        """The next stream value, acknowledged."""
        chunk = await self.hear()
        assert chunk["_tag"] == "Chunk", chunk
        assert chunk["requestId"] == request_id
        await self.say({"_tag": "Ack", "requestId": request_id})
        [value] = chunk["values"]
        assert value["version"] == 1
        return dict(value)

    async def quiet(self) -> None:
        await asyncio.sleep(0.1)
        assert self.heard.empty()


@asynccontextmanager
async def talking(machine: Machine, **changes: Any) -> AsyncIterator[Conversation]:
    actor = Actor(**{"door": "loopback", "name": "me", "scopes": frozenset(ADMINISTRATIVE_SCOPES), **changes})
    conversation = Conversation(machine, actor)
    try:
        yield conversation
    finally:
        await conversation.connection.close()


@pytest.mark.conformance("connect-environment", 144)
async def test_the_first_value_is_a_whole_picture(machine: Machine) -> None:
    await machine.ask_mint(machine.device())
    async with talking(machine) as me:
        await me.call("subscribeAuthAccess")
        value = await me.value()
    assert (value["type"], value["revision"]) == ("snapshot", 1)
    assert set(value["payload"]) == {
        "connectSecurityMode",
        "connectClients",
        "pairingLinks",
        "clientSessions",
    }
    assert value["payload"]["connectSecurityMode"] == "client-approval"
    assert value["payload"]["connectClients"][0]["status"] == "pending"


async def test_the_published_exchange(make_machine: MakeMachine) -> None:
    machine = await make_machine(mode=None, linked=False)
    async with talking(machine) as me:
        await me.connection.receive(
            '{"_tag":"Request","id":"0","tag":"subscribeAuthAccess","payload":{},"headers":[]}'
        )
        assert await me.hear() == {
            "_tag": "Chunk",
            "requestId": "0",
            "values": [
                {
                    "version": 1,
                    "revision": 1,
                    "type": "snapshot",
                    "payload": {
                        "connectSecurityMode": "account",
                        "connectClients": [],
                        "pairingLinks": [],
                        "clientSessions": [],
                    },
                }
            ],
        }


@pytest.mark.conformance("connect-environment", 145, 146, 147, 148)
async def test_every_change_is_told_once_and_counted_for_each_subscriber(machine: Machine) -> None:
    device, approvals = machine.device(), machine.environment.approvals
    async with talking(machine) as early, talking(machine) as late:
        await early.call("subscribeAuthAccess")
        await early.value()
        await machine.ask_mint(device)
        waiting = await early.value()
        assert (waiting["type"], waiting["revision"]) == ("connectClientUpserted", 2)
        assert waiting["payload"]["clientProofKeyThumbprint"] == device.thumbprint
        await late.call("subscribeAuthAccess", "7")
        assert (await late.value("7"))["revision"] == 1
        machine.clock.advance(1)
        for decide, status in (
            (approvals.approve, "approved"),
            (approvals.reject, "rejected"),
            (approvals.approve, "approved"),
        ):
            await decide(MACHINE, device.thumbprint)
            decided = await early.value()
            assert (decided["type"], decided["payload"]["status"]) == ("connectClientUpserted", status)
        assert decided["revision"] == 5
        assert (await late.value("7"))["revision"] == 2
        machine.clock.advance(1)
        await machine.ask_mint(device)
        types = [(await early.value())["type"] for _ in range(3)]
        assert types == ["connectClientUpserted", "connectClientUpserted", "pairingLinkUpserted"]
        await approvals.set_mode(MACHINE, "client-approval")
        mode = await early.value()
        assert (mode["type"], mode["payload"]) == ("connectSecurityModeUpdated", {"mode": "client-approval"})
        await approvals.revoke(MACHINE, device.thumbprint)
        removed = [await early.value() for _ in range(2)]
        assert [event["type"] for event in removed] == ["pairingLinkRemoved", "connectClientRemoved"]
        assert removed[1]["payload"] == {"clientProofKeyThumbprint": device.thumbprint}
        assert removed[1]["revision"] == 11


@pytest.mark.conformance("connect-environment", 149, 150)
async def test_links_and_sessions_come_and_go_in_the_stream(machine: Machine) -> None:
    owner = await machine.environment.sessions.issue(
        subject="me", scopes=ADMINISTRATIVE_SCOPES, label=None, lifetime_ms=3_600_000, actor=MACHINE
    )
    async with talking(machine, name=owner.session.id) as me:
        await me.call("subscribeAuthAccess")
        [own] = (await me.value())["payload"]["clientSessions"]
        assert own["current"] is True
        pairing = machine.environment.pairing
        for end in (
            lambda link: pairing.revoke(MACHINE, link.id),
            lambda link: machine.exchange(link.credential),
        ):
            link = await pairing.create(MACHINE, scopes=STANDARD_SCOPES, label="x")
            made = await me.value()
            assert (made["type"], made["payload"]["id"]) == ("pairingLinkUpserted", link.id)
            await end(link)
            gone = await me.value()
            assert (gone["type"], gone["payload"]) == ("pairingLinkRemoved", {"id": link.id})
        opened = await me.value()
        assert (opened["type"], opened["payload"]["current"]) == ("clientUpserted", False)
        await machine.environment.sessions.end(opened["payload"]["sessionId"], by=MACHINE)
        ended = await me.value()
        assert (ended["type"], ended["payload"]) == (
            "clientRemoved",
            {"sessionId": opened["payload"]["sessionId"]},
        )
        for note, is_connected in (
            (machine.environment.sessions.connected, True),
            (machine.environment.sessions.disconnected, False),
        ):
            await note(owner.session)
            changed = await me.value()
            assert changed["type"] == "clientUpserted"
            assert (changed["payload"]["connected"], changed["payload"]["current"]) == (is_connected, True)


async def test_the_owners_own_link_is_told_to_nobody(machine: Machine) -> None:
    async with talking(machine) as me:
        await me.call("subscribeAuthAccess")
        await me.value()
        await machine.environment.pairing.one_time_link()
        await me.quiet()


@pytest.mark.conformance("connect-environment", 151)
@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": frozenset(STANDARD_SCOPES)},
        {"door": "elsewhere"},
        {"door": "tunnel"},
        {"door": "tunnel", "role": "administrator"},
        {"door": "tunnel", "is_remote_admin_on": True},
    ],
    ids=[
        "standard scopes",
        "elsewhere",
        "tunnel",
        "administrator without the switch",
        "switch without the role",
    ],
)
async def test_who_may_not_list_does_not_listen(machine: Machine, changes: dict[str, Any]) -> None:
    async with talking(machine, **changes) as me:
        await me.call("subscribeAuthAccess")
        answer = await me.hear()
    assert answer["exit"] == {
        "_tag": "Failure",
        "cause": [
            {
                "_tag": "Fail",
                "error": {
                    "_tag": "EnvironmentAuthorizationError",
                    "message": "The authenticated token is missing required scope: access:read.",
                    "requiredScope": "access:read",
                },
            }
        ],
    }


async def test_an_administrator_from_outside_hears_of_devices_alone(make_machine: MakeMachine) -> None:
    machine = await make_machine(remote_admin=True)
    await machine.bearer()
    await machine.environment.pairing.create(MACHINE, scopes=STANDARD_SCOPES, label="secret")
    async with talking(machine, door="tunnel", role="administrator", is_remote_admin_on=True) as me:
        await me.call("subscribeAuthAccess")
        payload = (await me.value())["payload"]
        assert (payload["pairingLinks"], payload["clientSessions"]) == ([], [])
        await machine.environment.pairing.create(MACHINE, scopes=STANDARD_SCOPES, label="secret")
        await machine.bearer()
        await machine.ask_mint(machine.device())
        assert (await me.value())["type"] == "connectClientUpserted"
        await me.quiet()


@pytest.mark.conformance("connect-environment", 152)
async def test_an_unreadable_mode_ends_the_stream_until_it_is_repaired(machine: Machine) -> None:
    machine.environment.secrets.set(names.SECURITY_MODE, b"x")
    async with talking(machine) as me:
        await me.call("subscribeAuthAccess")
        [cause] = (await me.hear())["exit"]["cause"]
        assert cause["error"] == {
            "_tag": "AuthAccessStreamError",
            "message": "Failed to read Connect security mode.",
        }
        await machine.environment.approvals.set_mode(MACHINE, "account")
        await me.call("subscribeAuthAccess", "1")
        assert (await me.value("1"))["payload"]["connectSecurityMode"] == "account"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("auth_connect_clients", "Failed to list Connect clients."),
        ("auth_pairing_links", "Failed to load access snapshot."),
    ],
)
async def test_a_picture_that_cannot_be_loaded_ends_the_stream_with_what_is_missing(
    machine: Machine, table: str, message: str
) -> None:
    await machine.environment.database.write(lambda tx: tx.execute(f"ALTER TABLE {table} RENAME TO gone"))
    async with talking(machine) as me:
        await me.call("subscribeAuthAccess")
        [cause] = (await me.hear())["exit"]["cause"]
        assert cause["error"] == {"_tag": "AuthAccessStreamError", "message": message}


@pytest.mark.conformance("connect-environment", 153)
async def test_the_next_value_waits_for_the_acknowledgement_of_the_last(machine: Machine) -> None:
    async with talking(machine) as me:
        await me.call("subscribeAuthAccess")
        await me.hear()
        await machine.ask_mint(machine.device())
        await machine.ask_mint(machine.device())
        await me.quiet()
        await me.say({"_tag": "Ack", "requestId": "0"})
        assert (await me.hear())["values"][0]["revision"] == 2
        await me.quiet()


@pytest.mark.conformance("connect-environment", 154)
@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        ('{"_tag":"Ping"}', {"_tag": "Pong"}),
        (
            '{"_tag":"Request","id":7,"tag":"server.getConfig","payload":{},"headers":[]}',
            {"_tag": "Defect", "defect": "Invalid request id: 7"},
        ),
        (
            '{"_tag":"Request","id":"1","tag":"no.such","payload":{},"headers":[]}',
            {"_tag": "Defect", "defect": "Unknown request tag: no.such"},
        ),
        ("nonsense", {"_tag": "Defect", "defect": "Invalid message"}),
        ('{"_tag":"Nothing"}', {"_tag": "Defect", "defect": "Invalid message"}),
        ('[{"_tag":"Ping"}', {"_tag": "Defect", "defect": "Invalid message"}),
    ],
)
async def test_single_frames(machine: Machine, frame: str, answer: dict[str, str]) -> None:
    async with talking(machine) as me:
        assert await me.connection.receive(frame)
        assert await me.hear() == answer
        assert not await me.connection.receive('{"_tag":"Eof"}')


@pytest.mark.conformance("connect-environment", 155, 162)
async def test_two_requests_in_one_frame_are_both_answered(machine: Machine) -> None:
    request = {"_tag": "Request", "tag": "server.getConfig", "payload": {}, "headers": []}
    async with talking(machine) as me:
        await me.say([{**request, "id": "1"}, {**request, "id": "2"}])
        answers = [await me.hear(), await me.hear()]
    assert {answer["requestId"] for answer in answers} == {"1", "2"}
    for answer in answers:
        config = answer["exit"]["value"]
        assert answer["exit"]["_tag"] == "Success"
        assert config["environment"] == (await machine.local.get("/.well-known/t3/environment")).json()
        assert set(config) == {
            "environment", "auth", "cwd", "keybindingsConfigPath", "keybindings", "issues", "providers",
            "availableEditors", "observability", "settings",
        }  # fmt: skip
        assert config["settings"] == {}


@pytest.mark.parametrize(
    "tag", ["orchestration.subscribeShell", "subscribeServerLifecycle", "server.getSettings"]
)
async def test_what_the_editor_has_and_we_have_not_fails_alone(machine: Machine, tag: str) -> None:
    async with talking(machine) as me:
        await me.call("subscribeAuthAccess")
        await me.value()
        await me.call(tag, "1")
        answer = await me.hear()
        assert (answer["_tag"], answer["requestId"]) == ("Exit", "1")
        assert answer["exit"]["cause"] == [{"_tag": "Die", "defect": f"Unknown request tag: {tag}"}]
        await machine.ask_mint(machine.device())
        assert (await me.value())["type"] == "connectClientUpserted"


async def test_the_configuration_needs_its_scope(machine: Machine) -> None:
    async with talking(machine, scopes=frozenset({"access:read"})) as me:
        await me.call("server.getConfig")
        [cause] = (await me.hear())["exit"]["cause"]
        assert cause["error"]["requiredScope"] == "orchestration:read"


@pytest.mark.conformance("connect-environment", 156)
async def test_an_interrupted_stream_says_so_and_falls_silent(machine: Machine) -> None:
    async with talking(machine) as me:
        await me.call("subscribeAuthAccess")
        await me.value()
        await me.say({"_tag": "Interrupt", "requestId": "0"})
        assert (await me.hear())["exit"]["cause"][0]["_tag"] == "Interrupt"
        await machine.ask_mint(machine.device())
        await me.quiet()


@pytest.mark.conformance("connect-environment", 157)
async def test_a_new_subscription_starts_from_a_new_picture(machine: Machine) -> None:
    device = machine.device()
    for expected in ([], [device.thumbprint]):
        async with talking(machine) as me:
            await me.call("subscribeAuthAccess")
            value = await me.value()
            assert value["revision"] == 1
            listed = [client["clientProofKeyThumbprint"] for client in value["payload"]["connectClients"]]
            assert listed == expected
            await machine.ask_mint(device)


@pytest.mark.conformance("connect-environment", 158)
@pytest.mark.parametrize("is_in_the_picture", [True, False], ids=["before the devices are read", "after"])
async def test_a_change_during_the_subscription_is_in_the_picture_or_told_after_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, is_in_the_picture: bool
) -> None:
    device, approvals = machine.device(), machine.environment.approvals
    read = approvals.list

    async def read_while_a_device_knocks(actor: Actor) -> object:
        if is_in_the_picture:
            await machine.ask_mint(device)
        clients = await read(actor)
        if not is_in_the_picture:
            await machine.ask_mint(device)
        return clients

    monkeypatch.setattr(approvals, "list", read_while_a_device_knocks)
    async with talking(machine) as me:
        await me.call("subscribeAuthAccess")
        picture = (await me.value())["payload"]["connectClients"]
        seen = [client["clientProofKeyThumbprint"] for client in picture]
        assert seen == ([device.thumbprint] if is_in_the_picture else [])
        # Also what the picture shows: the subscription began before anything was read.
        told = await me.value()
        assert told["payload"]["clientProofKeyThumbprint"] == device.thumbprint


async def test_one_socket_opens_no_more_than_its_share(machine: Machine) -> None:
    async with talking(machine) as me:
        for number in range(65):
            await me.call("subscribeAuthAccess", str(number))
        answers = [await me.hear() for _ in range(65)]
    assert sum(answer["_tag"] == "Defect" for answer in answers) == 1
