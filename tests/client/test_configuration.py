"""Where a command finds its server."""

import sys
from pathlib import Path

import pytest

from doorward.client.configuration import (
    PublicConfiguration,
    accounts_origin_of,
    default_home,
    load_configuration,
    publishable_key_of,
    save_configuration,
)
from doorward.client.errors import ConfigurationMissing

RELAY = "https://relay.example.com"
KEY = publishable_key_of("https://accounts.example.com", development=False)


@pytest.mark.conformance("connect-environment", 199)
@pytest.mark.conformance("clerk-frontend", 1)
def test_a_publishable_key_carries_the_accounts_host_without_padding():
    assert "=" not in KEY
    key = publishable_key_of("https://clerk.example.com", development=False)
    assert key == "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"
    assert accounts_origin_of(KEY) == "https://accounts.example.com"
    assert accounts_origin_of("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k") == "https://clerk.example.com"


def test_plain_http_is_meant_for_localhost_names_only():
    local = publishable_key_of("http://accounts.localhost:8080", development=True)
    assert local.startswith("pk_test_")
    assert accounts_origin_of(local) == "http://accounts.localhost:8080"
    loopback = publishable_key_of("https://127.0.0.1:8443", development=True)
    assert accounts_origin_of(loopback) == "https://127.0.0.1:8443"


@pytest.mark.conformance("connect-environment", 199)
@pytest.mark.parametrize(
    "key", ["", "pk_live_", "sk_live_YWJj", "pk_live_a_b", "pk_prod_YWJj", "pk_live_!!!!", "pk_live_L2Ek"]
)
def test_what_is_not_a_publishable_key_is_refused(key):
    with pytest.raises(ValueError, match=r"\w"):
        accounts_origin_of(key)


def test_the_environment_wins_over_the_file_beside_a_running_server(tmp_path):
    stored = PublicConfiguration(
        relay_url="http://relay.localhost:1", accounts_origin="http://accounts.localhost:1"
    )
    save_configuration(tmp_path, stored)
    assert load_configuration(tmp_path, {}) == stored
    found = load_configuration(tmp_path, {"T3CODE_RELAY_URL": RELAY, "T3CODE_CLERK_PUBLISHABLE_KEY": KEY})
    assert (found.relay_url, found.accounts_origin) == (RELAY, "https://accounts.example.com")


def test_doorwards_own_names_win_over_t3s_and_blank_means_absent(tmp_path):
    environ = {
        "DOORWARD_RELAY_URL": RELAY,
        "T3CODE_RELAY_URL": "https://other.example",
        "DOORWARD_PUBLISHABLE_KEY": " ",
        "T3CODE_CLERK_PUBLISHABLE_KEY": KEY,
    }
    assert load_configuration(tmp_path, environ).relay_url == RELAY


@pytest.mark.conformance("connect-environment", 197)
def test_what_is_missing_is_named_with_the_way_out(tmp_path):
    with pytest.raises(ConfigurationMissing, match="DOORWARD_RELAY_URL and DOORWARD_PUBLISHABLE_KEY"):
        load_configuration(tmp_path, {})
    with pytest.raises(ConfigurationMissing, match="Set DOORWARD_PUBLISHABLE_KEY"):
        load_configuration(tmp_path, {"DOORWARD_RELAY_URL": RELAY})


@pytest.mark.parametrize(
    ("environment", "env_local", "env", "found"),
    [
        ("https://a.example", "https://b.example", "https://c.example", "https://a.example"),
        ("", "https://b.example", "https://c.example", "https://b.example"),
        (" ", "", "https://c.example", "https://c.example"),
        ("", "", "", "https://stored.example"),
    ],
)
@pytest.mark.conformance("connect-environment", 197)
def test_the_environment_wins_over_env_local_over_env_over_what_up_left(
    tmp_path, environment, env_local, env, found
):
    save_configuration(
        tmp_path,
        PublicConfiguration(
            relay_url="https://stored.example", accounts_origin="https://accounts.example.com"
        ),
    )
    # A name of a lower rank in a source of a higher one still wins.
    (tmp_path / ".env.local").write_text(f"VITE_T3CODE_RELAY_URL={env_local}\n")
    (tmp_path / ".env").write_text(f"DOORWARD_RELAY_URL={env}\n")
    assert load_configuration(tmp_path, {"EXPO_PUBLIC_T3CODE_RELAY_URL": environment}).relay_url == found


@pytest.mark.parametrize(
    ("relay", "key"),
    [
        ("DOORWARD_RELAY_URL", "DOORWARD_PUBLISHABLE_KEY"),
        ("T3CODE_RELAY_URL", "T3CODE_CLERK_PUBLISHABLE_KEY"),
        ("VITE_T3CODE_RELAY_URL", "VITE_CLERK_PUBLISHABLE_KEY"),
        ("EXPO_PUBLIC_T3CODE_RELAY_URL", "EXPO_PUBLIC_CLERK_PUBLISHABLE_KEY"),
    ],
)
def test_the_names_of_t3s_programs_and_builds_are_taken(tmp_path, relay, key):
    found = load_configuration(tmp_path, {relay: RELAY, key: KEY})
    assert (found.relay_url, found.accounts_origin) == (RELAY, "https://accounts.example.com")


def test_a_folder_commands_run_in_configures_nothing(tmp_path, monkeypatch):
    project = tmp_path / "downloaded"
    project.mkdir()
    (project / ".env").write_text(
        f"T3CODE_RELAY_URL=https://evil.example\nT3CODE_CLERK_PUBLISHABLE_KEY={KEY}\n"
    )
    monkeypatch.chdir(project)
    with pytest.raises(ConfigurationMissing):
        load_configuration(tmp_path / "home", {})


def test_the_mark_that_some_editors_begin_a_file_with_is_passed_over(tmp_path):
    text = f"DOORWARD_RELAY_URL=https://relay.example.com\nDOORWARD_PUBLISHABLE_KEY={KEY}\n"
    (tmp_path / ".env").write_text("\ufeff" + text, "utf-8")
    assert load_configuration(tmp_path, {}).relay_url == "https://relay.example.com"


@pytest.mark.parametrize("name", [".env.local", ".env", "connect.json"])
def test_a_folder_in_place_of_a_file_is_told_with_its_path(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigurationMissing, match=rf"{name} cannot be read \(Is a directory\)"):
        load_configuration(tmp_path, {})


def test_an_unreadable_env_file_is_told_with_its_path(tmp_path):
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationMissing, match=r"\.env cannot be read"):
        load_configuration(tmp_path, {})


@pytest.mark.conformance("connect-environment", 198)
@pytest.mark.parametrize(
    "relay",
    [
        "http://relay.example.com",
        "https://relay.example.com/path",
        "https://u:p@relay.example.com",
        "ftp://x",
    ],
)
def test_an_insecure_relay_is_refused(tmp_path, relay):
    with pytest.raises(ConfigurationMissing):
        load_configuration(tmp_path, {"DOORWARD_RELAY_URL": relay, "DOORWARD_PUBLISHABLE_KEY": KEY})


def test_a_damaged_file_is_told_with_its_path(tmp_path):
    (tmp_path / "connect.json").write_text("{")
    with pytest.raises(ConfigurationMissing, match=r"connect\.json is damaged"):
        load_configuration(tmp_path, {})


@pytest.mark.conformance("connect-environment", 13)
@pytest.mark.parametrize(
    ("platform", "data", "home"),
    [
        ("linux", "/data", "/data/doorward"),
        ("linux", " ", "~/.local/share/doorward"),
        ("darwin", "/data", "~/Library/Application Support/Doorward"),
    ],
)
def test_the_home_folder_follows_the_variable_then_the_platform(monkeypatch, platform, data, home):
    monkeypatch.setattr(sys, "platform", platform)
    environ = {"XDG_DATA_HOME": data}
    assert default_home({**environ, "DOORWARD_HOME": "~/mine"}) == Path.home() / "mine"
    assert default_home({**environ, "DOORWARD_HOME": " "}) == Path(home).expanduser()


@pytest.mark.conformance("clerk-backend", 30)
@pytest.mark.conformance("clerk-frontend", 4)
@pytest.mark.parametrize("origin", ["http://localhost:8080", "https://intranet", "http://[::1]:8080"])
def test_no_publishable_key_is_issued_for_a_host_without_a_dot(origin: str) -> None:
    with pytest.raises(ValueError, match="without a dot"):
        publishable_key_of(origin, development=True)
