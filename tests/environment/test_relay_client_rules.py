"""What is known of cloudflared without running it: its release, how long it is waited with, what its words mean."""

import pytest

from doorward.environment.relay_client.process import classify, next_wait
from doorward.environment.relay_client.releases import PINNED, this_platform


def test_the_release_is_the_one_t3_code_pins_and_this_machine_has_a_name() -> None:
    assert {platform: (PINNED.url(asset), asset.sha256) for platform, asset in PINNED.assets.items()} == {
        platform: (
            f"https://github.com/cloudflare/cloudflared/releases/download/2026.5.2/cloudflared-{name}",
            digest,
        )
        for platform, name, digest in (
            (
                "darwin-arm64",
                "darwin-arm64.tgz",
                "ba94054c9fd4297645093d59d51442e5e546d07bb0516120e694a13d5b216d38",
            ),
            (
                "darwin-x64",
                "darwin-amd64.tgz",
                "7240f709506bc2c1eb9da4d89cf2555499c60280ecb854b7d80e8f17d4b7903d",
            ),
            (
                "linux-arm64",
                "linux-arm64",
                "5a4e8ce2701105271412059f44b6a0bf1ae4542b4d98ff3180c0c019443a5815",
            ),
            ("linux-x64", "linux-amd64", "5286698547f03df745adb2355f04c12dde52ef425491e81f433642d695521886"),
        )
    }
    assert str(this_platform()).count("-") == 1


def test_waits_between_starts_grow_to_half_a_minute_and_begin_anew_after_a_minute_of_life() -> None:
    waits = [0.0]
    for _ in range(7):
        waits.append(next_wait(waits[-1], lived=59.9))
    assert waits[1:] == [1, 2, 4, 8, 16, 30, 30]
    assert next_wait(30, lived=60) == 1


@pytest.mark.conformance("connect-environment", 196)
@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("INF Registered tunnel connection connIndex=0", "connected"),
        ("ERR x", "trouble"),
        ("WRN x", "trouble"),
        ("FTL x", "trouble"),
        ("PNC x", "trouble"),
        ("INF TERRIBLE x", "chatter"),
        ("DBG x", "chatter"),
    ],
)
def test_a_line_of_its_output_means_one_of_three_things(line: str, kind: str) -> None:
    assert classify(f"2026-01-01T00:00:00Z {line}") == kind
