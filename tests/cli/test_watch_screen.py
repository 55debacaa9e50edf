"""The screen of `watch`, as pictures and keys come."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.cli.watch_changes import Devices
from doorward.cli.watch_screen import EMPTY, Decide, Quit, Screen, keys_in
from doorward.jose import generate_key, key_phrase
from doorward.t3_connect.messages import ClientMetadata, ConnectClient

KEYS = [generate_key("ES256").thumbprint for _ in range(20)]


def client(
    number: int, status: str = "pending", *, at: int | None = None, label: str | None = None
) -> ConnectClient:
    moment = f"2026-11-20T12:00:{number if at is None else at:02}.000Z"
    return msgspec.convert(
        {
            "clientProofKeyThumbprint": KEYS[number],
            "cloudUserId": "user_ada",
            "status": status,
            "role": "standard",
            "client": {"label": label or f"device {number}", "deviceType": "mobile"},
            "requestedAt": moment,
            "updatedAt": moment,
            "approvedAt": None,
            "rejectedAt": None,
            "lastSeenAt": None,
        },
        ConnectClient,
    )


def shown(screen: Screen, width: int = 80) -> str:
    lines = screen.lines(width, 24)
    assert all(len(line) <= width for line in lines), lines
    return "\n".join(lines)


def chosen(screen: Screen) -> str:
    (line,) = [line for line in screen.lines(80, 24) if line.startswith(">")]
    return line[2:].partition(" (")[0]


def test_nobody_waiting_says_what_will_happen():
    screen = Screen()
    screen.see([client(0, "approved"), client(1, "rejected")])
    assert EMPTY in shown(screen)
    assert screen.press("a") is None
    assert screen.press("r") is None
    assert screen.press("q") == Quit()


def test_letting_in_asks_once_more_with_the_words_alone():
    screen = Screen()
    screen.see([client(0), client(1)])
    assert screen.press("a") is None
    question = shown(screen)
    assert "Let device 0 in? It must show these six words:" in question
    assert key_phrase(KEYS[0]) in question
    assert key_phrase(KEYS[1]) not in question
    assert screen.press("y") == Decide("approve", KEYS[0])


@pytest.mark.parametrize("key", ["n", "a", "q", "r", "up", " ", "\n"])
def test_any_other_key_goes_back_and_decides_nothing(key):
    screen = Screen()
    screen.see([client(0)])
    screen.press("a")
    assert screen.press(key) is None
    assert "Let device 0 in?" not in shown(screen)


def test_arrows_choose_and_refusing_needs_one_key():
    screen = Screen()
    screen.see([client(0), client(1), client(2)])
    for key in ("down", "j", "down"):
        screen.press(key)
    assert chosen(screen) == "device 2"
    screen.press("up")
    screen.press("k")
    screen.press("k")
    assert chosen(screen) == "device 0"
    assert screen.press("r") == Decide("reject", KEYS[0])


def test_a_device_that_comes_meanwhile_moves_nothing_under_the_finger():
    screen = Screen()
    screen.see([client(1)])
    screen.press("a")
    # It asked before the other one did, by its own clock; its place is last all the same.
    screen.see([client(0, at=0), client(1)])
    assert screen.press("y") == Decide("approve", KEYS[1])
    assert chosen(screen) == "device 1"


def test_a_device_that_leaves_while_it_is_asked_about_cannot_be_let_in():
    screen = Screen()
    screen.see([client(0), client(1)])
    screen.press("a")
    screen.see([client(1)])
    assert screen.press("y") is None
    assert chosen(screen) == "device 1"


def test_a_hostile_label_is_text_and_the_words_stay_whole_on_a_narrow_terminal():
    screen = Screen()
    screen.see([client(0, label="Ada's phone \x1b[2J\n> friendly" + "x" * 200)])
    narrow = shown(screen, 40)
    assert "\x1b" not in narrow
    assert "…" in narrow
    for word in key_phrase(KEYS[0]).split(" "):
        assert word in narrow


def test_more_devices_than_fit_are_counted_and_the_chosen_one_is_always_in_sight():
    screen = Screen()
    screen.see([client(number) for number in range(20)])
    for number in range(20):
        assert chosen(screen) == f"device {number}"
        assert key_phrase(KEYS[number]) in shown(screen)
        lines = screen.lines(80, 24)
        assert len(lines) <= 24
        assert lines[-1].startswith("a lets the chosen device in")
        assert any(line.endswith(" more") for line in lines)
        screen.press("down")


@pytest.mark.parametrize(
    ("piece", "keys"),
    [
        (b"a", ["a"]),
        (b"Ay", ["a", "y"]),
        (b"\x1b[A\x1b[Bq", ["up", "down", "q"]),
        (b"\x1b", []),
        (b"\x1b[5", []),
        (b"\xff", ["\ufffd"]),
    ],
)
def test_a_terminal_may_send_several_keys_at_once(piece, keys):
    assert keys_in(piece) == keys


@given(st.binary())
def test_no_bytes_are_too_strange_to_read(piece):
    assert all(keys_in(piece))


class TestChanges:
    def test_the_first_picture_tells_of_those_who_wait(self):
        changes = Devices().see([client(1), client(0), client(2, "approved")])
        assert [(change.kind, change.client) for change in changes] == [
            ("pending", client(0)),
            ("pending", client(1)),
        ]

    def test_afterwards_every_change_of_state_is_told_once(self):
        devices = Devices()
        assert devices.see([]) == []
        told = []
        for picture in (
            [client(0)],
            [client(0, at=30)],  # it goes on asking
            [client(0, "approved")],
            [client(0, "rejected")],
            [client(0)],
            [],
            [],
        ):
            told.append([change.kind for change in devices.see(picture)])
        assert told == [["pending"], [], ["approved"], ["rejected"], ["pending"], ["removed"], []]


def test_the_meta_of_a_device_may_be_missing():
    bare = msgspec.structs.replace(client(0), client=ClientMetadata(device_type="unknown"))
    screen = Screen()
    screen.see([bare])
    assert f"client {KEYS[0][:12]}" in shown(screen)
