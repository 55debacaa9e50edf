"""Which program shows a notification, and with which words."""

import pytest

from doorward.cli.notifications import notification_command


@pytest.fixture
def programs(tmp_path):
    for name in ("notify-send", "osascript"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    return {"PATH": str(tmp_path)}


def test_a_desktop_without_the_program_and_a_machine_without_a_desktop_show_nothing(programs, tmp_path):
    assert notification_command("t", "x", environ=programs, platform="linux") is None
    empty = {"PATH": str(tmp_path / "nothing"), "DISPLAY": ":0"}
    assert notification_command("t", "x", environ=empty, platform="linux") is None
    assert notification_command("t", "x", environ=empty, platform="darwin") is None


def test_a_hostile_label_is_no_option_no_markup_and_no_script(programs):
    label, text = '--icon=x" & (do shell script "id")', "<b>six</b> words\x1b[2J"
    desktop = {**programs, "WAYLAND_DISPLAY": "wayland-0"}
    linux = notification_command(label, text, environ=desktop, platform="linux")
    assert linux is not None
    assert linux[1:] == ["--app-name=Doorward", "--", label, "&lt;b&gt;six&lt;/b&gt; words[2J"]
    apple = notification_command(label, text, environ=programs, platform="darwin")
    assert apple is not None
    assert apple[-2:] == [label, "<b>six</b> words[2J"]
    assert all(label not in part for part in apple[:-2])
