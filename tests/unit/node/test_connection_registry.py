"""What the registry of connections does when there are many of them: none of it takes long at one moment."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from hansa.core.clock import ManualClock
from hansa.core.limits import Limits
from hansa.node.http.callers import Account, Callers
from hansa.node.http.connection.registry import LOOKED_AT_MAX, Connections, Phase
from hansa.node.http.traffic import Refusal, Traffic
from tests.support.loop_turns import is_short


class RecordedConnection:
    """A connection whose client sends and reads nothing."""

    phase = Phase.WORK
    since_s = 0.0
    received_bytes = upload_bytes = ahead_bytes = 0
    has_requested = True
    is_trusted_proxy = False

    def __init__(self, address: str, account: Account, size_bytes: int = 0) -> None:
        self.address = address
        self.account = account
        self.size_bytes = size_bytes
        self.has_ended = False

    def unsent_bytes(self) -> int:
        return self.size_bytes

    def is_reading_paused(self) -> bool:
        return False

    def abort(self) -> None:
        self.has_ended = True

    def end(self) -> None:
        self.has_ended = True


class Crowd:
    """Many connections of one server."""

    def __init__(self, limits: Limits) -> None:
        self.traffic = Traffic()
        self.registry = Connections(limits, self.traffic)
        self._callers = Callers(limits, ManualClock().monotonic)

    def add(self, address: str, size_bytes: int = 0) -> RecordedConnection:
        """One that has not sent so many bytes."""
        connection = RecordedConnection(address, self._callers.account(address), size_bytes)
        self.registry.add(connection)
        if size_bytes:
            self.registry.begin_unsent(connection)
        return connection


@pytest.mark.parametrize(
    "address_of",
    [
        lambda number: f"192.0.2.{number % 3}",
        lambda number: f"192.{number // 250}.2.{number % 250}",
        lambda number: f"2001:db8:1:{number:x}::1",
        lambda number: f"2001:db8:{number:x}::1",
    ],
    ids=["few addresses", "many addresses", "networks of one site", "networks of many sites"],
)
def test_however_many_do_not_read_the_next_ones_are_ended_in_a_short_time(
    address_of: Callable[[int], str],
) -> None:
    limits = Limits(connections_per_address_max=4096)
    crowd = Crowd(limits)
    for number in range(2000):
        crowd.add(address_of(number), 40_000)
    before = crowd.traffic.refused[Refusal.UNSENT_BYTES]
    began_s = time.thread_time()
    for number in range(2000, 2064):
        crowd.add(address_of(number), 40_000)
    assert is_short(time.thread_time() - began_s)
    assert crowd.traffic.refused[Refusal.UNSENT_BYTES] >= before + 64
    assert crowd.registry.unsent_bytes <= limits.unsent_max_bytes


def test_the_oldest_ends_first_and_of_equal_ones_the_one_that_holds_most() -> None:
    crowd = Crowd(Limits(unsent_max_bytes=2000))
    small, large = crowd.add("192.0.2.1", 100), crowd.add("192.0.2.1", 700)
    crowd.registry.tick(1.0)
    new = crowd.add("192.0.2.1", 300)
    assert [one.has_ended for one in (small, large, new)] == [False, True, False]
    newest = crowd.add("192.0.2.1", 650)
    assert [one.has_ended for one in (small, new, newest)] == [True, False, False]


def test_one_that_alone_holds_more_than_there_is_room_for_ends() -> None:
    crowd = Crowd(Limits(unsent_max_bytes=2000))
    others = [crowd.add(f"192.0.2.{number}", 900) for number in range(2)]
    large = crowd.add("198.51.100.1", 1_000_000)
    assert large.has_ended
    assert not any(one.has_ended for one in others)


def test_those_whose_time_is_over_end_some_at_a_moment_and_all_in_the_end() -> None:
    crowd = Crowd(Limits(connections_per_address_max=4096))
    crowded = [crowd.add("192.0.2.1", 10) for _ in range(4 * LOOKED_AT_MAX)]
    counts = []
    for moment in range(1, 6):
        crowd.registry.tick(1000.0 + moment / 10)
        counts.append(sum(one.has_ended for one in crowded))
    assert counts == [LOOKED_AT_MAX, 2 * LOOKED_AT_MAX, 3 * LOOKED_AT_MAX, len(crowded), len(crowded)]
