"""Backup and restore: into an empty place everything works as before, and nothing is ever overwritten."""

import asyncio
import gzip
import io
import json
import shutil
import sqlite3
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from doorward.outbound import Outbound
from doorward.server.backup.archive import BackupFailed, unpack
from doorward.server.backup.places import new_home, place_of_home
from doorward.server.backup.service import backup, restore
from doorward.store import open_database
from tests import databases
from tests.e2e.accounts import Account
from tests.in_process import command
from tests.server.nodes import ServedNode, served

Backup = Callable[..., Path]


@pytest.fixture
def empty_databases(engine: str) -> Iterator[Callable[[], str | None]]:
    """A fresh database URL for a server each time; None for SQLite in its data folder."""
    with ExitStack() as stack:
        yield lambda: None if engine == "sqlite" else stack.enter_context(databases.new_postgresql([]))


def run(*arguments: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
    return command(*map(str, arguments), home=home)


async def published_keys(accounts: str, outbound: Outbound) -> bytes:
    """The key set, once the key that will sign next has joined it: a server prepares that in the background."""
    async with asyncio.timeout(30):
        while True:
            answer = await outbound.request("GET", f"{accounts}/.well-known/jwks.json")
            if len(json.loads(answer.body)["keys"]) == 2:
                return answer.body
            await asyncio.sleep(0.05)


@pytest.mark.anyio
async def test_a_restored_server_knows_everybody_and_signs_with_the_same_keys(
    tmp_path: Path, empty_databases: Callable[[], str | None]
) -> None:
    """Taken from a running server; a session, a grant and the published keys of before go on."""
    outbound = Outbound()
    archive = tmp_path / "one.backup"
    with served(tmp_path / "a", database_url=empty_databases()) as first:
        account = Account(first.accounts, outbound)
        await account.sign_up(first.administrator(), first.mailed_code)
        grant = await account.grant()
        keys = await published_keys(first.accounts, outbound)
        written = run("backup", archive, "--config", first.config, home=tmp_path)
        assert written.returncode == 0, written.stderr
        assert "key-encryption key is not in it" in written.stdout
        sessions = await account.sessions()
        first.stop()
    assert archive.stat().st_mode & 0o777 == 0o600

    second = ServedNode(tmp_path / "b", database_url=empty_databases())
    # The same public origins, as after the move to a new machine.
    text = second.config.read_text()
    for before, after in (
        (second.control_port, first.control_port),
        (second.edge_port, first.edge_port),
        (second.admin_port, first.admin_port),
    ):
        text = text.replace(f":{before}", f":{after}")
    second.config.write_text(text)
    restoring = ("restore", archive, "--config", second.config)
    without = run(*restoring, home=tmp_path)
    assert (without.returncode, "--key-file" in without.stderr) == (1, True)
    wrong = tmp_path / "wrong.key"
    wrong.write_text("00" * 32)
    wrong.chmod(0o600)
    assert "does not belong" in run(*restoring, "--key-file", wrong, home=tmp_path).stderr
    key_file = first.data / "key-encryption.key"
    assert not (second.data / "key-encryption.key").exists()
    done = run(*restoring, "--key-file", key_file, "--json", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hasKeys"] is False
    again = run(*restoring, "--key-file", key_file, home=tmp_path)
    assert (again.returncode, "never overwrites" in again.stderr) == (1, True)

    program = second.start()
    try:
        assert await published_keys(first.accounts, outbound) == keys
        assert await account.sessions() == sessions
        assert len(sessions) == 1
        assert grant.refresh_token is not None
        refreshed = await account.refresh(grant.refresh_token)
        assert refreshed.status == 200
        await outbound.close()
        assert program.stop() == 0
        assert "No administrator yet" not in program.output
    finally:
        if program.process.poll() is None:
            program.kill()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A machine's data folder with a little of everything in it."""
    folder = tmp_path / "home"
    for relative, content in {
        "userdata/environment-id": "env-1",
        "userdata/secrets/cloud-link-ed25519-key-pair.bin": "{}",
        "devices/env-1.json": "{}",
        "connect.json": "{}",
        "run/agent.lock": "",
        "tools/cloudflared/cloudflared": "a program",
        "userdata/logs/cli.jsonl": "{}",
        "userdata/secrets/half.tmp": "draft",
    }.items():
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o600)
    with closing(sqlite3.connect(folder / "userdata" / "state.sqlite")) as state:
        state.execute("PRAGMA journal_mode = WAL")
        state.execute("CREATE TABLE auth_connect_clients (thumbprint TEXT)")
        state.execute("INSERT INTO auth_connect_clients VALUES ('approved-device')")
        state.commit()
    return folder


def test_a_machine_comes_back_with_its_keys_and_its_approvals(home: Path, tmp_path: Path) -> None:
    archive, restored = tmp_path / "machine.backup", tmp_path / "restored"
    backup(place_of_home(home), archive, with_keys=False)
    restore(archive, new_home(restored))
    kept = {str(path.relative_to(restored)) for path in restored.rglob("*") if path.is_file()}
    assert kept == {
        "userdata/environment-id", "userdata/secrets/cloud-link-ed25519-key-pair.bin", "devices/env-1.json",
        "connect.json", "userdata/state.sqlite",
    }  # fmt: skip
    assert (restored / "devices" / "env-1.json").stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(restored / "userdata" / "state.sqlite")) as state:
        assert state.execute("SELECT * FROM auth_connect_clients").fetchall() == [("approved-device",)]
    with pytest.raises(BackupFailed, match="never overwrites"):
        restore(archive, new_home(restored))


def test_a_backup_of_a_writing_database_is_one_moment_of_it(home: Path, tmp_path: Path) -> None:
    """Two tables that every transaction changes together are equal in the copy."""
    database = home / "userdata" / "state.sqlite"
    writer = subprocess.Popen(
        ["python3", "-c", """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
for name in "ab":
    db.execute(f"CREATE TABLE {name} (x)")
print("writing", flush=True)
while True:
    db.execute("BEGIN IMMEDIATE")
    for name in "ab":
        db.execute(f"INSERT INTO {name} VALUES (randomblob(2000))")
    db.execute("COMMIT")
""", str(database)], stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        archive, folder = tmp_path / "busy.backup", tmp_path / "unpacked"
        backup(place_of_home(home), archive, with_keys=False)
        unpack(archive, folder)
    finally:
        writer.kill()
        writer.wait()
        assert writer.stdout is not None
        writer.stdout.close()
    with closing(sqlite3.connect(folder / "machine.sqlite")) as copy:
        count_a, count_b = (copy.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in "ab")
    assert count_a == count_b


@pytest.fixture
def archive(home: Path, tmp_path: Path) -> Path:
    path = tmp_path / "good.backup"
    backup(place_of_home(home), path, with_keys=False)
    return path


def test_a_backup_is_never_overwritten(home: Path, archive: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(BackupFailed, match="exists already"):
        backup(place_of_home(home), archive, with_keys=False)
    assert archive.read_bytes() == before


def test_a_folder_that_is_missing_is_named(home: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match=r"There is no folder .*/absent\. Make it"):
        backup(place_of_home(home), tmp_path / "absent" / "x.backup", with_keys=False)


def test_nothing_is_not_backed_up(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="nothing to back up"):
        backup(place_of_home(tmp_path / "nobody"), tmp_path / "x.backup", with_keys=False)
    assert not (tmp_path / "x.backup").exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "no archive", "empty"])
def test_a_damaged_backup_changes_nothing(archive: Path, tmp_path: Path, damage: str) -> None:
    content = bytearray(archive.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[-8] ^= 0xFF  # of the checksum, behind all that is unpacked
    elif damage == "no archive":
        content = bytearray(b"hello")
    else:
        content = bytearray()
    archive.write_bytes(content)
    target = tmp_path / "target"
    with pytest.raises(BackupFailed):
        restore(archive, new_home(target))
    assert list(target.iterdir()) == []


def test_no_flipped_bit_changes_what_is_read(archive: Path, tmp_path: Path) -> None:
    """Some change nothing: one zero may be copied from another, and nobody reads when gzip wrote the file."""
    content = archive.read_bytes()
    places = (*range(0, len(content), 7), *range(len(content) - 8, len(content)))
    refused = 0
    for place in places:
        archive.write_bytes(flipped(content, place))
        try:
            unpack(archive, tmp_path / f"unpacked-{place}")
        except BackupFailed:
            refused += 1
        else:
            assert gzip.decompress(archive.read_bytes()) == gzip.decompress(content)
    assert refused > len(places) / 2


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x04]) + content[place + 1 :]


@pytest.mark.parametrize(
    "change", ["../outside", "/etc/absolute", "files/../../outside", "a link", "extra", "missing", "format"]
)
def test_a_forged_backup_changes_nothing(archive: Path, tmp_path: Path, change: str) -> None:
    forged, target = tmp_path / "forged.backup", tmp_path / "target"
    with tarfile.open(archive) as source, tarfile.open(forged, "w:gz") as copy:
        if change == "a link":
            link = tarfile.TarInfo("files/link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            copy.addfile(link)
        elif change not in ("missing", "format"):
            copy.addfile(tarfile.TarInfo(f"files/{change}" if change == "extra" else change), io.BytesIO())
        for header in source.getmembers():
            if change == "missing" and header.name.startswith("files/connect"):
                continue
            file = source.extractfile(header)
            assert file is not None
            content = file.read()
            if change == "format" and header.name == "manifest.json":
                content = content.replace(b'"format": 1', b'"format": 9')
                header.size = len(content)
            copy.addfile(header, io.BytesIO(content))
    with pytest.raises(BackupFailed):
        restore(forged, new_home(target))
    assert list(target.iterdir()) == []
    assert not (tmp_path / "outside").exists()


@pytest.mark.anyio
@pytest.mark.postgresql
async def test_a_table_of_other_columns_is_refused_and_undone(tmp_path: Path) -> None:
    """COPY data is the archive's; what it says about columns never becomes SQL unchecked."""
    from doorward.relay import SCHEMA
    from doorward.server.backup import postgresql

    with databases.new_postgresql([SCHEMA]) as url:
        folder = tmp_path / "tables"
        folder.mkdir()
        database = await open_database(url, schemas=[SCHEMA])
        insert = "INSERT INTO relay_signing_keys (name, sealed_private_key, created_at) VALUES (?, ?, ?)"
        await database.write(lambda tx: tx.execute(insert, ("cloud-mint", "sealed", 1)))
        await database.close()
        assert postgresql.dump(url, [SCHEMA], folder) == {"relay": "0001"}
        rows = (folder / "relay_signing_keys").read_text()
        (folder / "relay_signing_keys").write_text(rows.replace("created_at", "created_at) FROM STDIN; --"))
        with pytest.raises(BackupFailed, match="other columns"):
            postgresql.load(url, [SCHEMA], folder)
        (folder / "relay_signing_keys").write_text(rows)
        postgresql.load(url, [SCHEMA], folder)
        shutil.rmtree(folder)
        folder.mkdir()
        postgresql.dump(url, [SCHEMA], folder)
        assert (folder / "relay_signing_keys").read_text() == rows
        assert "cloud-mint" in rows


@pytest.mark.anyio
@pytest.mark.postgresql
async def test_what_triggers_count_is_not_counted_again_by_a_restore(tmp_path: Path) -> None:
    from doorward.identity import SCHEMA
    from doorward.identity.accounts import store
    from doorward.server.backup import postgresql

    counted = "SELECT COALESCE(sum(users), 0) FROM identity_user_counts"
    with databases.new_postgresql([SCHEMA]) as before, databases.new_postgresql([SCHEMA]) as after:
        database = await open_database(before, schemas=[SCHEMA])
        user = store.UserRecord(
            id="user_1", primary_email_address_id="idn_1", password_hash=None, password_updated_at=None,
            first_name=None, last_name=None, public_metadata="{}", unsafe_metadata="{}", is_administrator=False,
            is_banned=False, locked_until=None, last_sign_in_at=None, created_at=1, updated_at=1,
        )  # fmt: skip
        await database.write(lambda tx: store.insert_user(tx, user))
        await database.close()
        folder = tmp_path / "tables"
        folder.mkdir()
        postgresql.dump(before, [SCHEMA], folder)
        postgresql.load(after, [SCHEMA], folder)
        database = await open_database(after, schemas=[SCHEMA])
        assert await database.read(lambda tx: tx.fetch_one(counted)) == (1,)
        await database.write(lambda tx: tx.execute("DELETE FROM identity_users"))
        assert await database.read(lambda tx: tx.fetch_one(counted)) == (0,)
        await database.close()
