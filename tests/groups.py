"""When the groups of tests (`xdist_group`) run: spread over the run, for a worker that waits to have working neighbours.

xdist would begin with all groups at once. Most of them wait, for programs to die and come back, and the cores would with
them; afterwards there would be nothing left but work. It keeps our order with `--no-loadscope-reorder`.
"""

from itertools import islice

import pytest

_BY = 0.7
"""The part of all other tests by which every group has begun: the last ones do not run alone at the end."""


def spread_groups(items: list[pytest.Item]) -> list[pytest.Item]:
    """The same tests, each group in one piece, those with the most tests first."""
    groups: dict[frozenset[str], list[pytest.Item]] = {}
    for item in items:
        groups.setdefault(frozenset(mark.args[0] for mark in item.iter_markers("xdist_group")), []).append(
            item
        )
    others = groups.pop(frozenset(), [])
    between = int(len(others) * _BY / max(len(groups), 1))
    rest = iter(others)
    order: list[pytest.Item] = []
    for group in sorted(groups.values(), key=len, reverse=True):
        order += group
        order += islice(rest, between)
    return [*order, *rest]
