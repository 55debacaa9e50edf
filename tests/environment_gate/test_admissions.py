"""A head that is repeated is let in without a look-up, and only where a look-up would let it in."""

from __future__ import annotations

import asyncio
import sqlite3
from inspect import isawaitable

import pytest

from doorward.environment.access import MACHINE
from doorward.environment.children import Visitor
from doorward.environment.children.service import COOKIE_LIFETIME_MS
from doorward.environment.gate.assertion import REUSE_FOR
from doorward.environment.settings import Service
from doorward.http1 import Answer, Decision, Forward, Peer, RequestHead, TcpUpstream
from doorward.http1.heads import Headers
from doorward.jose import PrivateKey, generate_key
from tests.conftest import ClockForTests
from tests.environment_gate.machine import Machine

pytestmark = pytest.mark.anyio

PEER = Peer("192.0.2.7", is_tls=True)


def request(
    headers: Headers, *, method: bytes = b"GET", target: bytes = b"/", upgrade: bytes = b""
) -> RequestHead:
    return RequestHead(method, target, headers, upgrade)


async def decided(machine: Machine, head: RequestHead, peer: Peer = PEER) -> tuple[Decision, bool]:
    """What the gate says, and whether it had to look."""
    decision = machine.gate.route(head, peer)
    if isawaitable(decision):
        return await decision, True
    return decision, False


async def remembered(machine: Machine, key: PrivateKey | None = None) -> Headers:
    """The header list of a browser that was let in, with the device's `key`, and is remembered."""
    _, issued = await machine.session(key)
    child = await machine.child(issued.session.id)
    headers = [(b"host", machine.host.encode()), (b"cookie", f"__Host-doorward={child.cookie}".encode())]
    first, looked = await decided(machine, request(headers))
    assert isinstance(first, Forward)
    assert looked
    async with asyncio.timeout(60):
        while True:
            again, looked = await decided(machine, request(headers, target=b"/next"))
            assert isinstance(again, Forward)
            if not looked:
                break
            # The machine wrote something of its own accord, such as that it told of the device that knocked.
            first = again
    assert again.head.target == b"/next"
    assert again.head.headers == first.head.headers
    assert (again.tag, again.upstream) == (first.tag, first.upstream)
    return headers


async def refused(machine: Machine, headers: Headers) -> None:
    decision, looked = await decided(machine, request(headers))
    assert looked
    assert isinstance(decision, Answer)
    assert decision.status == 401


async def test_a_repeated_head_is_let_in_at_once(machine: Machine) -> None:
    await remembered(machine)


async def test_a_revoked_device_is_refused_at_its_very_next_request(machine: Machine) -> None:
    key = generate_key("ES256")
    headers = await remembered(machine, key)
    await machine.environment.approvals.revoke(MACHINE, key.public.thumbprint)
    await refused(machine, headers)


async def test_a_session_that_another_process_takes_away_is_refused_at_once(machine: Machine) -> None:
    headers = await remembered(machine)
    path = machine.environment.settings.state_dir / "state.sqlite"
    with sqlite3.connect(path) as elsewhere:
        elsewhere.execute("DELETE FROM environment_service_sessions")
    elsewhere.close()
    await refused(machine, headers)


async def test_any_other_commit_makes_the_gate_look_again(machine: Machine) -> None:
    headers = await remembered(machine)
    await machine.environment.services.add(MACHINE, Service(name="other", port=9))
    decision, looked = await decided(machine, request(headers))
    assert looked
    assert isinstance(decision, Forward)


async def test_a_service_that_moved_is_found_where_it_is_now(machine: Machine) -> None:
    headers = await remembered(machine)
    await machine.environment.services.add(MACHINE, Service(name="notes", port=9))
    decision, _ = await decided(machine, request(headers))
    assert isinstance(decision, Forward)
    assert decision.upstream == TcpUpstream("127.0.0.1", 9)


async def test_a_service_that_moves_or_goes_while_its_visitor_is_looked_up_is_not_reached_where_it_was(
    machine: Machine,
) -> None:
    headers = await remembered(machine)
    services, children = machine.environment.services, machine.environment.children
    look = children.authorise_cookie

    async def moved(value: str, host: str) -> Visitor | None:
        visitor = await look(value, host)
        await services.add(MACHINE, Service(name="notes", port=9))
        return visitor

    async def removed(value: str, host: str) -> Visitor | None:
        visitor = await look(value, host)
        await services.remove(MACHINE, "notes")
        return visitor

    children.authorise_cookie = moved  # type: ignore[method-assign]
    decision, _ = await decided(machine, request(headers, method=b"DELETE"))
    assert isinstance(decision, Forward)
    assert decision.upstream == TcpUpstream("127.0.0.1", 9)
    children.authorise_cookie = removed  # type: ignore[method-assign]
    decision, _ = await decided(machine, request(headers, method=b"DELETE"))
    assert isinstance(decision, Answer)
    assert decision.status == 421


async def test_a_cookie_is_not_remembered_past_its_end(machine: Machine, clock: ClockForTests) -> None:
    headers = await remembered(machine)
    clock.advance(COOKIE_LIFETIME_MS)
    await refused(machine, headers)


async def test_an_assertion_is_not_sent_past_its_half_life(machine: Machine, clock: ClockForTests) -> None:
    headers = await remembered(machine)
    first, _ = await decided(machine, request(headers))
    clock.advance(REUSE_FOR)
    second, looked = await decided(machine, request(headers))
    assert looked
    assert isinstance(first, Forward)
    assert isinstance(second, Forward)
    assert dict(first.head.headers)[b"doorward-assertion"] != dict(second.head.headers)[b"doorward-assertion"]


@pytest.mark.parametrize(
    "other",
    [
        {"method": b"POST"},
        {"method": b"GET", "upgrade": b"websocket"},
        {"target": b"/.doorward/callback?code=x"},
    ],
)
async def test_another_kind_of_request_is_judged_for_itself(
    machine: Machine, other: dict[str, bytes]
) -> None:
    headers = await remembered(machine)
    _, looked = await decided(machine, request(headers, **other))
    assert looked


async def test_another_visitor_with_the_same_head_is_told_apart(machine: Machine) -> None:
    headers = await remembered(machine)
    decision, looked = await decided(machine, request(headers), Peer("192.0.2.8", is_tls=True))
    assert looked
    assert isinstance(decision, Forward)
    assert dict(decision.head.headers)[b"x-forwarded-for"] == b"192.0.2.8"


async def test_equal_headers_in_another_list_are_another_head(machine: Machine) -> None:
    headers = await remembered(machine)
    _, looked = await decided(machine, request(list(headers)))
    assert looked


async def test_a_program_proves_itself_at_every_request(machine: Machine) -> None:
    key, issued = await machine.session()
    proof = machine.program(key, issued.token)
    headers = [(b"host", machine.host.encode()), *((n.encode(), v.encode()) for n, v in proof.items())]
    first, _ = await decided(machine, request(headers))
    assert isinstance(first, Forward)
    second, looked = await decided(machine, request(headers))
    assert looked
    assert isinstance(second, Answer)  # the same proof again
