"""The unit that keeps an agent running."""

import pytest

from doorward.cli import systemd


def test_the_unit_names_the_server_and_never_a_secret(tmp_path):
    environ = {"DOORWARD_RELAY_URL": "https://relay.example", "CLERK_SECRET_KEY": "sk_test_x", "PATH": "/bin"}
    unit = systemd.unit_text(tmp_path, environ)
    assert 'Environment="DOORWARD_RELAY_URL=https://relay.example"' in unit
    assert f'Environment="DOORWARD_HOME={tmp_path}"' in unit
    assert "sk_test_x" not in unit
    assert unit.splitlines().count("ExecStart=" + " ".join(f'"{part}"' for part in _command())) == 1


def test_what_systemd_would_expand_is_kept_literal(tmp_path):
    unit = systemd.unit_text(tmp_path, {"DOORWARD_RELAY_URL": 'https://r/%h"\\'})
    assert 'DOORWARD_RELAY_URL=https://r/%%h\\"\\\\"' in unit


def test_without_systemd_the_unit_is_written_and_the_way_out_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(systemd.ServiceNotInstalled, match="no systemd") as refused:
        systemd.install(tmp_path, {"XDG_CONFIG_HOME": str(tmp_path / "config")})
    written = tmp_path / "config" / "systemd" / "user" / systemd.UNIT
    assert str(written) in str(refused.value)
    assert written.read_text().startswith("[Unit]\n")


def test_a_failing_systemctl_is_told_in_its_own_words(tmp_path, monkeypatch):
    systemctl = tmp_path / "systemctl"
    systemctl.write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(systemd.ServiceNotInstalled, match="Failed to connect to bus"):
        systemd.install(tmp_path, {"XDG_CONFIG_HOME": str(tmp_path / "config")})


def _command():
    import sys

    return (sys.executable, "-m", "doorward", "expose")
