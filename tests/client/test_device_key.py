"""The device's key on disk."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from doorward.client.device_key import load_device_key
from doorward.client.errors import ClientError


def test_the_key_stays_the_same_and_only_its_owner_may_read_it(tmp_path):
    first = load_device_key(tmp_path, "env-1")
    assert load_device_key(tmp_path, "env-1").public.thumbprint == first.public.thumbprint
    path = tmp_path / "devices" / "env-1.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_each_machine_sees_another_key(tmp_path):
    assert (
        load_device_key(tmp_path, "a").public.thumbprint != load_device_key(tmp_path, "b").public.thumbprint
    )


def test_two_programs_that_start_at_once_agree_on_one_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: load_device_key(tmp_path, "env-1").public.thumbprint, range(8)))
    assert len(set(keys)) == 1
    assert os.listdir(tmp_path / "devices") == ["env-1.pem"]


@pytest.mark.parametrize("name", ["../x", "", ".", "..", "a/b", "a\0b"])
def test_a_machine_id_never_becomes_a_path(tmp_path, name):
    with pytest.raises(ClientError):
        load_device_key(tmp_path, name)


def test_a_damaged_key_is_told_with_its_path(tmp_path):
    load_device_key(tmp_path, "env-1")
    (tmp_path / "devices" / "env-1.pem").write_text("not a key")
    with pytest.raises(ClientError, match=r"env-1\.pem cannot be used"):
        load_device_key(tmp_path, "env-1")
