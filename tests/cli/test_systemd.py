"""The unit that keeps an agent running."""

import stat

import pytest

from doorward.cli import systemd
from doorward.cli.expose import options_of


def test_the_unit_names_the_server_and_never_a_secret(tmp_path):
    environ = {"DOORWARD_RELAY_URL": "https://relay.example", "CLERK_SECRET_KEY": "sk_test_x", "PATH": "/bin"}
    unit = systemd.unit_text(tmp_path, environ)
    assert 'Environment="DOORWARD_RELAY_URL=https://relay.example"' in unit
    assert f'Environment="DOORWARD_HOME={tmp_path}"' in unit
    assert "sk_test_x" not in unit
    assert unit.splitlines().count("ExecStart=" + " ".join(f'"{part}"' for part in _command())) == 1


@pytest.mark.parametrize(
    "name",
    [
        "T3CODE_RELAY_URL",
        "EXPO_PUBLIC_CLERK_PUBLISHABLE_KEY",
        "NODE_EXTRA_CA_CERTS",
        "DOORWARD_EDGE_PINS",
        "https_proxy",
    ],
)
def test_a_server_named_by_any_of_the_variables_is_found_after_the_next_login_too(tmp_path, name):
    assert f'Environment="{name}=x"' in systemd.unit_text(tmp_path, {name: "x"})


def test_what_the_agent_was_told_it_is_told_at_every_start(tmp_path):
    options = options_of(remote_admin=True, environment_port=4000)
    unit = systemd.unit_text(tmp_path, {}, options)
    assert '"expose" "--remote-admin" "--environment-port" "4000"\n' in unit
    assert options_of(remote_admin=False, environment_port=3773) == []


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
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_a_failing_systemctl_is_told_in_its_own_words(tmp_path, monkeypatch):
    systemctl = tmp_path / "systemctl"
    systemctl.write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(systemd.ServiceNotInstalled, match=r"Failed to connect to bus\. Log in as this user"):
        systemd.install(tmp_path, {"XDG_CONFIG_HOME": str(tmp_path / "config")})


def _command():
    import sys

    return (sys.executable, "-m", "doorward", "expose")
