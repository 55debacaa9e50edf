import os
import secrets
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.store import KeyFileRefused, SealBroken, Sealer

KEK = bytes(range(32))


@given(st.binary(max_size=200), st.text(max_size=40))
def test_what_was_sealed_opens_in_its_context_only(plaintext: bytes, context: str) -> None:
    sealer = Sealer(KEK)
    envelope = sealer.seal(plaintext, context=context)
    assert sealer.open(envelope, context=context) == plaintext
    assert envelope != sealer.seal(plaintext, context=context)
    with pytest.raises(SealBroken):
        sealer.open(envelope, context=context + "x")


def test_no_byte_of_an_envelope_may_change_or_be_missing() -> None:
    sealer = Sealer(KEK)
    envelope = sealer.seal(b"secret", context="row")
    for position in range(len(envelope)):
        changed = bytearray(envelope)
        changed[position] ^= 1
        for broken in (bytes(changed), envelope[:position], envelope + b"\0"):
            with pytest.raises(SealBroken):
                sealer.open(broken, context="row")


def test_a_retired_key_still_opens_and_the_current_one_seals() -> None:
    old, new = Sealer(KEK), Sealer(b"n" * 32, retired=[KEK])
    envelope = old.seal(b"secret", context="row")
    assert new.open(envelope, context="row") == b"secret"
    assert not new.is_current(envelope)
    renewed = new.seal(b"secret", context="row")
    assert new.is_current(renewed)
    with pytest.raises(SealBroken, match="key file"):
        old.open(renewed, context="row")


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused_at_once(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(b"k" * length)


def test_a_sealer_shows_neither_key_nor_secret() -> None:
    assert KEK.hex() not in repr(Sealer(KEK))
    assert repr(KEK) not in repr(Sealer(KEK))


def test_the_first_start_makes_a_key_file_for_its_owner_alone_and_later_ones_use_it(tmp_path: Path) -> None:
    path = tmp_path / "home" / "key"
    envelope = Sealer.from_file(path).seal(b"secret", context="row")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Sealer.from_file(path).open(envelope, context="row") == b"secret"
    assert [entry.name for entry in path.parent.iterdir()] == ["key"]


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        sealers = list(threads.map(lambda _: Sealer.from_file(tmp_path / "key"), range(16)))
    envelopes = [sealer.seal(b"x", context="") for sealer in sealers]
    assert {sealers[0].open(envelope, context="") for envelope in envelopes} == {b"x"}


def test_a_key_file_may_list_retired_keys_below_the_current_one(tmp_path: Path) -> None:
    path = tmp_path / "key"
    envelope = Sealer.from_file(path).seal(b"secret", context="row")
    path.write_text(secrets.token_hex(32) + "\n" + path.read_text())
    assert Sealer.from_file(path).open(envelope, context="row") == b"secret"
    assert not Sealer.from_file(path).is_current(envelope)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_a_key_file_others_may_touch_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    Sealer.from_file(path)
    path.chmod(mode)
    with pytest.raises(KeyFileRefused, match="chmod 600"):
        Sealer.from_file(path)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"abc", b"zz" * 32, b"\xff" * 64, b"00" * 31, b"00" * 32 + b" 00"]
)
def test_a_key_file_that_holds_something_else_is_refused_and_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileRefused):
        Sealer.from_file(path)
    assert path.read_bytes() == content


def test_a_key_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileRefused, match="file"):
        Sealer.from_file(tmp_path / "file" / "key")
    assert os.listdir(tmp_path) == ["file"]
