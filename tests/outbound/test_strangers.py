"""Where a URL that a stranger gave us may lead."""

import asyncio
import socket
from pathlib import Path

import pytest

from doorward.outbound import AddressRefused, Outbound, Unreachable
from doorward.outbound.addresses import is_public
from doorward.server.tls import ensure_local_authority, server_context

END = b"\r\n\r\n"


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"],
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::1",
    ],
)
def test_addresses_of_this_machine_and_its_networks_are_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/",
        "https://a.LOCALHOST./",
        "http://localhost/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
    ],
)
async def test_a_url_that_leads_inside_is_refused_before_anything_is_dialled(
    outbound: Outbound, url: str
) -> None:
    with pytest.raises(AddressRefused):
        await outbound.request("POST", url, public_only=True)


@pytest.mark.anyio
async def test_a_name_is_judged_by_every_address_it_has(outbound: Outbound, monkeypatch) -> None:
    answers = ["93.184.215.14", "10.0.0.7"]

    async def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve, raising=False)
    with pytest.raises(AddressRefused, match=r"push\.example"):
        await outbound.request("POST", "https://push.example/", public_only=True)


@pytest.mark.anyio
async def test_a_name_that_does_not_resolve_is_unreachable(outbound: Outbound, monkeypatch) -> None:
    async def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve, raising=False)
    with pytest.raises(Unreachable):
        await outbound.request("POST", "https://no-such-host.invalid/", public_only=True)


@pytest.mark.anyio
async def test_only_the_private_hosts_an_operator_named_are_reached(serve, tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(END)
        writer.write(b"HTTP/1.1 204 No Content" + END)
        await writer.drain()

    authority = ensure_local_authority(tmp_path)
    port = await serve(answer, tls=server_context(*authority.leaf(["push.localhost", "other.localhost"])))
    client = Outbound(ca_file=authority.certificate_path, private_hosts=["push.localhost"])
    try:
        named = await client.request("POST", f"https://push.localhost:{port}/", public_only=True)
        assert named.status == 204
        with pytest.raises(AddressRefused):
            await client.request("POST", f"https://other.localhost:{port}/", public_only=True)
    finally:
        await client.close()


@pytest.mark.anyio
async def test_a_checked_road_is_not_shared_with_an_unchecked_one(serve, outbound: Outbound) -> None:
    """A connection kept open to this machine is never what carries a stranger's request."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(END):
            writer.write(b"HTTP/1.1 204 No Content" + END)

    port = await serve(answer)
    assert (await outbound.request("GET", f"http://127.0.0.1:{port}/")).status == 204
    with pytest.raises(AddressRefused):
        await outbound.request("GET", f"http://127.0.0.1:{port}/", public_only=True)
