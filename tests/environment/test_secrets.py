"""Secret files, the environment's id and its keys (checklist 1-16)."""

import os
import resource
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from doorward.environment.keys import (
    Keys,
    SecretExists,
    SecretStore,
    SecretStoreFailed,
    load_environment_id,
    names,
)
from doorward.environment.keys.runtime_file import read_runtime_file, remove_runtime_file, write_runtime_file
from doorward.environment.replay import dpop_guard, relay_guards
from doorward.jose import generate_key

T = TypeVar("T")


@pytest.fixture
def store(tmp_path: Path) -> SecretStore:
    return SecretStore(tmp_path / "secrets")


@pytest.mark.conformance("connect-environment", 1)
def test_a_secret_that_was_never_made_is_none(store: SecretStore) -> None:
    assert store.get("nothing") is None


@pytest.mark.conformance("connect-environment", 2)
def test_a_random_secret_is_made_once(store: SecretStore) -> None:
    first = store.get_or_create_random("key", 32)
    assert len(first) == 32
    assert store.get_or_create_random("key", 32) == first


def seen_by_eight_at_once(create: Callable[[], T]) -> list[T]:
    barrier = threading.Barrier(8)
    seen: list[T] = []

    def one() -> None:
        barrier.wait()
        seen.append(create())

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    return seen


@pytest.mark.conformance("connect-environment", 3)
def test_racing_creators_all_get_the_winners_bytes(store: SecretStore) -> None:
    seen = seen_by_eight_at_once(lambda: store.get_or_create_random("key", 32))
    assert set(seen) == {store.get("key")}


@pytest.mark.conformance("connect-environment", 12)
def test_racing_makers_of_the_link_key_all_use_the_one_that_is_kept(store: SecretStore) -> None:
    seen = seen_by_eight_at_once(lambda: Keys(store).link_key().thumbprint)
    assert set(seen) == {Keys(store).link_key().thumbprint}


@pytest.mark.conformance("connect-environment", 4)
def test_only_the_owner_can_read_after_every_kind_of_write(store: SecretStore, tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        store.create("one", b"a")
        store.set("two", b"b")
        store.set("two", b"c")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    for name in ("one", "two"):
        assert stat.S_IMODE((tmp_path / "secrets" / f"{name}.bin").stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "secrets").iterdir()) == ["one.bin", "two.bin"]


@pytest.mark.conformance("connect-environment", 5, 6, 7)
def test_a_folder_that_is_not_one_fails_loudly_and_an_absent_secret_is_removed_quietly(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    broken = SecretStore(tmp_path / "file")
    with pytest.raises(SecretStoreFailed):
        broken.get("name")
    with pytest.raises(SecretStoreFailed):
        broken.set("name", b"x")
    with pytest.raises(SecretStoreFailed):
        broken.create("name", b"x")
    with pytest.raises(SecretStoreFailed):
        broken.remove("name")
    store = SecretStore(tmp_path / "secrets")
    store.remove("name")
    store.set("name", b"x")
    store.remove("name")
    assert store.get("name") is None


@contextmanager
def disk_that_takes(size: int) -> Iterator[None]:
    """No file of this process may grow beyond that many bytes: the kernel cuts the write short, then refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.conformance("connect-environment", 6)
def test_a_disk_that_takes_a_part_of_a_secret_has_taken_nothing(store: SecretStore, tmp_path: Path) -> None:
    store.set("kept", b"old")
    with disk_that_takes(200):
        store.set("fits", b"x" * 200)
        with pytest.raises(SecretStoreFailed):
            store.set("kept", b"x" * 201)
        with pytest.raises(SecretStoreFailed):
            store.create("new", b"x" * 201)
    assert (store.get("fits"), store.get("kept"), store.get("new")) == (b"x" * 200, b"old", None)
    assert sorted(path.name for path in (tmp_path / "secrets").iterdir()) == ["fits.bin", "kept.bin"]


@pytest.mark.conformance("connect-environment", 8)
def test_creating_a_name_that_is_taken_says_so_and_changes_nothing(store: SecretStore) -> None:
    store.create("guard", b"first")
    with pytest.raises(SecretExists):
        store.create("guard", b"second")
    assert store.get("guard") == b"first"


def wait_for_a_tick_after(file: Path) -> None:
    """Until the file system's clock shows a later time than the file's last write."""
    probe = file.parent.parent / "probe"
    probe.touch()
    while probe.stat().st_mtime_ns <= file.stat().st_mtime_ns:
        probe.touch()


def test_what_is_remembered_is_what_the_file_holds_whoever_wrote_it(tmp_path: Path) -> None:
    # A clock a minute ahead: every file has rested long enough to be remembered.
    store = SecretStore(tmp_path / "secrets", now_ns=lambda: time.time_ns() + 60_000_000_000)
    file, other = tmp_path / "secrets" / "mode.bin", SecretStore(tmp_path / "secrets")
    store.set("mode", b"first")
    assert [store.get("mode"), store.get("mode")] == [b"first", b"first"]
    other.set("mode", b"other")
    assert [store.get("mode"), store.get("mode")] == [b"other", b"other"]
    wait_for_a_tick_after(file)  # which alone tells this write from the one before
    file.write_bytes(b"by hd")
    assert store.get("mode") == b"by hd"
    other.remove("mode")
    assert store.get("mode") is None
    other.create("mode", b"again")
    assert store.get("mode") == b"again"
    file.unlink()
    file.mkdir()
    with pytest.raises(SecretStoreFailed):
        store.get("mode")


def test_nothing_is_remembered_that_the_file_system_s_clock_could_not_tell_from_the_next_write(
    store: SecretStore, tmp_path: Path
) -> None:
    store.set("mode", b"000")
    for number in range(300):
        (tmp_path / "secrets" / "mode.bin").write_bytes(b"%03d" % number)
        assert store.get("mode") == b"%03d" % number


@pytest.mark.parametrize("name", ["../outside", "a/b", "", ".hidden", "x" * 300, "nul\0"])
def test_no_name_leads_out_of_the_folder(store: SecretStore, name: str) -> None:
    with pytest.raises(SecretStoreFailed):
        store.set(name, b"x")


@pytest.mark.conformance("connect-environment", 9)
def test_the_environment_id_is_made_once_and_read_with_any_space_around_it(tmp_path: Path) -> None:
    first = load_environment_id(tmp_path / "state")
    assert uuid.UUID(first).version == 4
    assert (tmp_path / "state" / "environment-id").read_text() == f"{first}\n"
    (tmp_path / "state" / "environment-id").write_text(f"  {first} \n\n")
    assert load_environment_id(tmp_path / "state") == first
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["environment-id"]


def test_an_empty_environment_id_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "environment-id").write_text("")
    assert uuid.UUID(load_environment_id(tmp_path)).version == 4


@pytest.mark.conformance("connect-environment", 10)
def test_the_link_key_is_made_once_and_kept_in_one_secret(store: SecretStore) -> None:
    first = Keys(store).link_key()
    assert Keys(store).link_key().thumbprint == first.thumbprint
    stored = msgspec.json.decode(store.get(names.LINK_KEY_PAIR) or b"")
    assert set(stored) == {"privateKey", "publicKey"}
    assert stored["publicKey"].strip() == Keys(store).public_pem()


@pytest.mark.conformance("connect-environment", 10, 11)
def test_a_data_folder_of_t3_code_is_understood_by_its_names() -> None:
    assert {
        name: value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)
    } == {
        "SERVER_SIGNING_KEY": "server-signing-key",
        "LINK_KEY_PAIR": "cloud-link-ed25519-key-pair",
        "LEGACY_LINK_PRIVATE_KEY": "cloud-link-ed25519-private-key",
        "LEGACY_LINK_PUBLIC_KEY": "cloud-link-ed25519-public-key",
        "MINT_PUBLIC_KEY": "cloud-mint-ed25519-public-key",
        "ENDPOINT_RUNTIME": "cloud-endpoint-runtime-config",
        "LINKED_USER": "cloud-linked-user-id",
        "RELAY_URL": "cloud-relay-url",
        "RELAY_ISSUER": "cloud-relay-issuer",
        "ENVIRONMENT_CREDENTIAL": "cloud-relay-environment-credential",
        "PUBLISH_ACTIVITY": "cloud-publish-agent-activity",
        "DESIRED_LINK": "cloud-cli-desired-link",
        "CLI_TOKEN": "cloud-cli-oauth-token",
        "SECURITY_MODE": "connect-security-mode",
        "SECURITY_MODE_STORED": "connect-security-mode-stored",
        "MANAGED_ENDPOINT": "cloud-managed-endpoint",
        "VAPID_KEY": "web-push-vapid-key",
    }


@pytest.mark.conformance("connect-environment", 11)
def test_the_halves_of_an_older_data_folder_are_joined(store: SecretStore) -> None:
    key = generate_key("EdDSA")
    store.set(names.LEGACY_LINK_PRIVATE_KEY, key.to_pem().encode())
    store.set(names.LEGACY_LINK_PUBLIC_KEY, key.public.to_pem().encode())
    assert Keys(store).link_key().thumbprint == key.thumbprint
    store.remove(names.LEGACY_LINK_PRIVATE_KEY)
    assert Keys(store).link_key().thumbprint == key.thumbprint


@pytest.mark.parametrize("stored", [b"", b"{}", b'{"privateKey":"x","publicKey":"y"}'])
def test_a_broken_link_key_is_an_error_and_never_replaced(store: SecretStore, stored: bytes) -> None:
    store.set(names.LINK_KEY_PAIR, stored)
    with pytest.raises(SecretStoreFailed):
        Keys(store).link_key()
    assert store.get(names.LINK_KEY_PAIR) == stored


@pytest.mark.conformance("connect-environment", 14)
@pytest.mark.parametrize("bound", [None, "0.0.0.0", "::"])
def test_the_runtime_note_names_an_origin_that_can_be_dialled(tmp_path: Path, bound: str | None) -> None:
    written = write_runtime_file(tmp_path, host=bound, port=3773, now=1_782_561_600_000)
    assert written.origin == "http://127.0.0.1:3773"
    assert written.started_at == "2026-06-27T12:00:00.000Z"
    assert written.version == 1
    assert (tmp_path / "server-runtime.json").read_text().endswith("}\n")
    assert read_runtime_file(tmp_path) == written
    remove_runtime_file(tmp_path)
    assert read_runtime_file(tmp_path) is None


@pytest.mark.conformance("connect-environment", 15)
@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version":2,"pid":1,"port":1,"origin":"x","startedAt":"y"}']
)
def test_an_unreadable_runtime_note_means_that_no_server_runs(tmp_path: Path, content: str) -> None:
    (tmp_path / "server-runtime.json").write_text(content)
    assert read_runtime_file(tmp_path) is None


@pytest.mark.conformance("connect-environment", 16)
def test_a_guard_has_bounded_length_and_names_no_path_whatever_the_proof_says() -> None:
    for jti in ("../../x", "x" * 10_000, "\0", "a/b"):
        for name in (*relay_guards("mint", jti=jti, nonce=jti), dpop_guard("thumb", jti)):
            assert len(name) < 100
            assert "/" not in name
            assert "." not in name
    assert relay_guards("mint", jti="a", nonce="b") != relay_guards("health", jti="a", nonce="b")


def test_the_guard_of_a_dpop_proof_is_the_published_vector() -> None:
    name = dpop_guard("Nrqg3-M_Xwtx-1tbtc1J7Xul2DyeC0bUSy9u_5NSG6g", "jti-1")
    assert name == "dpop-proof-ud_SWRRG-iyo-ipsGRCjVA4jGsXRbYoE_eUGt5JnAVs"


def test_drafts_a_power_cut_left_are_swept_but_not_one_under_way(store: SecretStore, tmp_path: Path) -> None:
    store.set("kept", b"x")
    old, new = tmp_path / "secrets" / "kept.bin.1.tmp", tmp_path / "secrets" / "kept.bin.2.tmp"
    for draft in (old, new):
        draft.write_bytes(b"half")
    os.utime(old, (0, 0))
    store.sweep()
    assert (old.exists(), new.exists(), store.get("kept")) == (False, True, b"x")
