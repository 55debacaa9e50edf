"""Two programs of a run are never told the same port, not even one after the other: the first may come back."""

from tests.ports import free_ports, three_free_ports


def test_no_port_is_given_twice() -> None:
    # Of a thousand drawn by chance alone some would be among the thousand before.
    given = [port for _ in range(2) for port in free_ports(1_000)]
    first = three_free_ports()
    assert len({*given, first, first + 1, first + 2}) == 2_003
