"""Tests of one group run one after another, and groups are spread over the others."""

from types import SimpleNamespace

from tests.groups import spread_groups


class Item:
    """As much of a pytest item as the order asks of it."""

    def __init__(self, name: str, *groups: str) -> None:
        self.name = name
        self._groups = groups

    def iter_markers(self, _: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(args=(group,)) for group in self._groups]


def test_groups_stay_whole_the_largest_first_with_others_between_and_after_them() -> None:
    items = [Item(f"one {number}") for number in range(10)]
    items[3:3] = [Item("small", "small")]
    items[0:0] = [Item("large 1", "large")]
    items += [Item("large 2", "large")]
    order = [item.name for item in spread_groups(items)]  # type: ignore[type-var]
    assert order == [
        *("large 1", "large 2", "one 0", "one 1", "one 2"),
        *("small", "one 3", "one 4", "one 5", "one 6", "one 7", "one 8", "one 9"),
    ]


def test_without_groups_nothing_moves() -> None:
    items = [Item(str(number)) for number in range(3)]
    assert spread_groups(items) == items  # type: ignore[type-var]
