"""When to try again."""

import pytest

from doorward.client.retry import delay_before_attempt, failures_after


@pytest.mark.conformance("connect-environment", 208)
def test_delays_double_to_sixteen_seconds_and_stay_there():
    assert [delay_before_attempt(failures) for failures in range(8)] == [0, 1, 2, 4, 8, 16, 16, 16]


@pytest.mark.conformance("connect-environment", 209)
def test_only_a_connection_that_held_half_a_minute_starts_the_count_anew():
    assert failures_after(4, connected_seconds=29.9) == 4
    assert failures_after(4, connected_seconds=30.0) == 0
