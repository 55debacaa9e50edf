"""How often one may ask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.environment.pages.limits import RateLimit, Waiting
from doorward.http1 import network_of

NOW = 1_800_000_000_000


def test_a_burst_then_one_each_interval() -> None:
    limit = RateLimit(burst=3, interval=1000)
    assert [limit.retry_after("a", NOW) for _ in range(3)] == [None, None, None]
    assert limit.retry_after("a", NOW) == 1000
    assert limit.retry_after("a", NOW + 999) == 1
    assert limit.retry_after("a", NOW + 1000) is None
    assert limit.retry_after("a", NOW + 1000) == 1000
    assert limit.retry_after("b", NOW) is None


def test_a_refused_request_is_not_counted() -> None:
    limit = RateLimit(burst=1, interval=1000)
    assert limit.retry_after("a", NOW) is None
    assert {limit.retry_after("a", NOW + 500) for _ in range(100)} == {500}
    assert limit.retry_after("a", NOW + 1000) is None


@given(st.lists(st.integers(0, 3000), max_size=60))
def test_never_more_than_the_burst_and_the_elapsed_intervals(gaps: list[int]) -> None:
    limit = RateLimit(burst=4, interval=1000)
    now, passed = NOW, 0
    for gap in gaps:
        now += gap
        passed += limit.retry_after("a", now) is None
        assert passed <= 4 + (now - NOW) // 1000


def test_a_flood_of_addresses_is_bounded_and_shares_one_bucket() -> None:
    limit = RateLimit(burst=2, interval=60_000)
    answers = [limit.retry_after(str(number), NOW) for number in range(6000)]
    assert len(limit._empty_until) <= 4097
    assert answers[-1] is not None
    assert limit.retry_after("late", NOW + 120_000) is None


def test_places_to_wait_are_counted_and_given_back() -> None:
    waiting = Waiting(per_key=1, total=2)
    with (
        waiting.place("a") as first,
        waiting.place("a") as second,
        waiting.place("b") as third,
        waiting.place("c") as fourth,
    ):
        assert (first, second, third, fourth) == (True, False, True, False)
    with waiting.place("c") as later:
        assert later


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_subscribers_whole_ipv6_network_is_one_visitor(address: str, counted: str) -> None:
    assert network_of(address) == counted
