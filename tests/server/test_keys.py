"""Replacing a server's keys: nothing of before is lost, and what must follow is told."""

import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from doorward.identity.app import SCHEMA as IDENTITY_SCHEMA
from doorward.identity.signing_keys.service import SigningKeys, load_keyed_hash
from doorward.jose import peek_header, verify_jwt
from doorward.relay import SCHEMA as RELAY_SCHEMA
from doorward.relay.tokens.mint_key import load_mint_key
from doorward.server.keys import SEALED_COLUMNS, KeyRing, open_keys
from doorward.store import Database, KeyFileRefused, SealBroken, Sealer
from doorward.store.sealing import key_ids
from tests import databases
from tests.conftest import ClockForTests, OpenTestDatabase
from tests.in_process import command
from tests.server.nodes import served

pytestmark = pytest.mark.anyio


class Server:
    """What a server has after its first start."""

    def __init__(self, database: Database, key_file: Path, clock: ClockForTests) -> None:
        self.database = database
        self.key_file = key_file
        self.clock = clock
        self.ring = KeyRing(database, key_file, clock)

    async def start(self) -> tuple[SigningKeys, str, str]:
        """What a node holds in memory: signing keys, the fingerprint of its hash secret, the mint key's thumbprint."""
        sealer = Sealer.from_file(self.key_file)
        signing = SigningKeys(self.database, sealer, self.clock)
        await signing.prepare()
        await signing.prepare_next()
        hashing = await load_keyed_hash(self.database, sealer, self.clock)
        mint = await load_mint_key(self.database, sealer, self.clock)
        return signing, hashing.of("purpose", "x"), mint.public.thumbprint


@pytest.fixture
async def server(
    open_test_database: OpenTestDatabase, tmp_path: Path, clock: ClockForTests
) -> AsyncIterator[Server]:
    yield Server(await open_test_database(IDENTITY_SCHEMA, RELAY_SCHEMA), tmp_path / "kek", clock)


async def test_every_sealed_column_of_the_schemas_is_sealed_anew(tmp_path: Path) -> None:
    """A column that a rotation forgot would be lost with the old key."""
    path = databases.new_sqlite(tmp_path, [IDENTITY_SCHEMA, RELAY_SCHEMA]).removeprefix("sqlite://")
    with sqlite3.connect(path) as tables:
        names = [row[0] for row in tables.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {
            (name, column[1])
            for name in names
            for column in tables.execute(f"PRAGMA table_info({name})")
            if "sealed" in column[1]
        }
    tables.close()
    assert found == {(column.table, column.column) for column in SEALED_COLUMNS}


async def test_the_encryption_key_is_rotated_under_a_running_server(server: Server) -> None:
    running, hashed, mint = await server.start()
    (old,) = key_ids(server.key_file)
    before = running.sign({"sub": "user_1"}, typ="JWT")
    assert await server.ring.rotate_encryption() == 4
    new, still = key_ids(server.key_file)
    assert (still, new != old) == (old, True)
    assert [(key.id, key.is_current, key.values) for key in (await server.ring.list()).encryption] == [
        (new, True, 4),
        (old, False, 0),
    ]
    # The running node seals with the key it knows, and opens what was sealed anew.
    server.clock.advance(3_600_000)
    await running.rotate()
    assert await server.ring.retire_encryption() == 1
    assert key_ids(server.key_file) == [new]
    assert server.key_file.stat().st_mode & 0o777 == 0o600
    started, hashed_after, mint_after = await server.start()
    assert (hashed_after, mint_after) == (hashed, mint)
    assert {key.kid for key in started.public_keys} >= {key.kid for key in running.public_keys}
    claims = {"sub": "user_1"}
    assert (
        verify_jwt(before, started.public_keys, claims=dict, now=0, typ="JWT", required=()).claims == claims
    )


async def test_a_retired_key_opens_nothing_any_more(server: Server) -> None:
    await server.start()
    old = server.key_file.read_text()
    await server.ring.rotate_encryption()
    await server.ring.retire_encryption()
    server.key_file.write_text(old)
    with pytest.raises(SealBroken, match="not in the key file"):
        await server.start()


async def test_the_signing_key_is_replaced_once_verifiers_know_the_next(server: Server) -> None:
    running, *_ = await server.start()
    with pytest.raises(ValueError, match="verifiers cache"):
        await server.ring.rotate_signing(force=False)
    server.clock.advance(3_600_000)
    kid = await server.ring.rotate_signing(force=False)
    states = {key.kid: key.state for key in (await server.ring.list()).signing}
    assert states[kid] == "active"
    assert sorted(states.values()) == ["active", "next", "retired"]
    await running.reload()
    assert peek_header(running.sign({"sub": "user_1"}, typ="JWT"))["kid"] == kid


async def test_a_new_mint_key_says_how_many_links_it_costs(server: Server) -> None:
    _, _, before = await server.start()
    assert await server.ring.rotate_mint() == 0
    _, _, after = await server.start()
    assert before != after
    actions = await server.database.read(
        lambda tx: tx.fetch_all("SELECT action FROM relay_audit ORDER BY at, action")
    )
    assert ("mint_key.rotated",) in actions


async def test_without_a_key_file_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(KeyFileRefused, match="no server ever ran there"):
        async with open_keys(f"sqlite:///{tmp_path}/doorward.sqlite", tmp_path / "absent"):
            pass
    assert os.listdir(tmp_path) == []


def test_an_operator_does_all_of_it_from_a_terminal(tmp_path: Path) -> None:
    """Beside a running server, whose log and answers stay clean."""
    with served(tmp_path / "node") as node:

        def keys(*arguments: str) -> tuple[int, str]:
            done = command("keys", *arguments, "--config", str(node.config), home=tmp_path)
            return done.returncode, done.stdout + done.stderr

        assert keys("rotate", "signing", "--force")[0] == 0
        status, refused = keys("rotate", "mint")
        assert (status, "add --yes" in refused) == (1, True)
        status, told = keys("rotate", "encryption")
        assert (status, "retire encryption" in told) == (0, True)
        node.stop()
        assert "1 old key is forgotten" in keys("retire", "encryption")[1]
        program = node.start()
        status, listed = keys("list")
        assert (status, "Signing keys (identity)" in listed, "current, seals" in listed) == (0, True, True)
        assert "Traceback" not in program.output
        node.stop()
    nowhere = command("keys", "list", "--home", str(tmp_path / "nobody"), home=tmp_path)
    assert (nowhere.returncode, "There is no server" in nowhere.stderr) == (1, True)
