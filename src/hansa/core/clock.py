"""Time as a parameter: production uses `SystemClock`, tests and simulation `ManualClock`."""

from __future__ import annotations

import asyncio
import heapq
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol

from hansa.core.instants import moment

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)


class Clock(Protocol):
    """The only source of time and of waiting."""

    def now(self) -> datetime:
        """The time of day, UTC."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


def read_rfc3339(text: str) -> datetime:
    """The moment in a text of ours, as `rfc3339` writes it; `hansa.core.instants` reads those of others."""
    at = moment(text)
    assert at is not None, "we wrote it"
    return at


def epoch_s(clock: Clock) -> int:
    """Whole seconds since 1970, as tokens and certificates have them (RFC 7519, NumericDate)."""
    return int(clock.now().timestamp())


def epoch_ms(clock: Clock) -> int:
    """Whole milliseconds since 1970, as rows and pages have them."""
    return milliseconds_of(clock.now())


def milliseconds_of(moment: datetime) -> int:
    """Whole milliseconds from 1970 to a moment, exactly; `rfc3339_at_ms` is the other way."""
    return (moment - EPOCH) // MILLISECOND


class SystemClock:
    """The machine's clock."""

    def __init__(self) -> None:
        self._last = (0, datetime.fromtimestamp(0, UTC))

    def now(self) -> datetime:
        """The time of day, UTC, in milliseconds.

        The same object within one of them, which is written once then.
        """
        time_ms = time.time_ns() // 1_000_000
        last_ms, moment = self._last
        if time_ms != last_ms:
            seconds, rest_ms = divmod(time_ms, 1000)
            moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ms * 1000)
            self._last = (time_ms, moment)
        return moment

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that stands until it is moved; sleepers wake in the order of their times."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed_s = 0.0
        self._serial = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """The time of day, UTC."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was moved by `seconds`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._serial += 1
        heapq.heappush(self._sleepers, (self._elapsed_s + seconds, self._serial, waiter))
        await waiter

    @property
    def sleepers(self) -> int:
        """How many tasks are waiting for this clock."""
        return sum(not waiter.done() for _, _, waiter in self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Move the clock, waking each sleeper at its own time and letting it run."""
        target_s = self._elapsed_s + seconds
        while self._sleepers and self._sleepers[0][0] <= target_s:
            due_s, _, waiter = heapq.heappop(self._sleepers)
            self._elapsed_s = due_s
            if not waiter.done():
                waiter.set_result(None)
            await asyncio.sleep(0)
        self._elapsed_s = target_s
        await asyncio.sleep(0)


@lru_cache(16)
def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as every time of ours is written."""
    assert moment.tzinfo is not None, "a time without a zone means nothing to another member"
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"  # in place of +00:00


def rfc3339_at(moment_s: float) -> str:
    """A moment in seconds since 1970, likewise."""
    return rfc3339(datetime.fromtimestamp(moment_s, UTC))


def rfc3339_at_ms(moment_ms: int) -> str:
    """A moment in milliseconds since 1970, likewise; exactly, as the ledger has them."""
    return rfc3339(EPOCH + moment_ms * MILLISECOND)
