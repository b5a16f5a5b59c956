"""The time by which idempotency keys expire.

A key is remembered for a certain time, or a repeated order is carried out twice. The machine's time of day
does not do for that: when it steps ahead by a day, every key has expired at once. So the time of keys begins
where that of the last key was, or with the time of day where there is none, and goes on as fast as this
process runs. While no process runs it stands still, so that keys are remembered for longer, never for less.
"""

from __future__ import annotations

from hansa.core.clock import Clock, epoch_ms
from hansa.store import Store
from hansa.store.tables.writes import idempotency


class KeyTime:
    """That time; one for all keys of a marketplace."""

    def __init__(self) -> None:
        self._began: tuple[int, float] | None = None
        """Its value, and the monotonic time, at the first look."""

    async def now_ms(self, store: Store, clock: Clock, lifetime_ms: int) -> int:
        """Milliseconds; the time of day, unless that has been wrong.

        Args:
            store: Has the keys.
            clock: For how long this process has been running.
            lifetime_ms: How long a key is remembered.
        """
        if self._began is None:
            last_ms = await idempotency.last_expiry_ms(store)
            if self._began is None:
                begin_ms = epoch_ms(clock) if last_ms is None else last_ms - lifetime_ms
                self._began = begin_ms, clock.monotonic()
        began_ms, since_s = self._began
        assert clock.monotonic() >= since_s, "monotonic time does not go back"
        return began_ms + int(1000 * (clock.monotonic() - since_s))
