"""What is served, refused and forwarded, gathered in memory and appended to the audit log every few seconds.

Nothing here waits, and nothing grows beyond its bounds, whoever causes it: strangers are counted together,
members by name, refusals by code; of positions so many are retained that a record stays small, and the rest
is counted. What was gathered since the last record is lost in a crash. What not everybody may have is
therefore not gathered: it is recorded before it is served (`GatheredNotes.recorded`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

import msgspec

from hansa.core.audit import RefusedRequest, ranges
from hansa.core.clock import Clock
from hansa.core.errors import Unavailable
from hansa.core.retry import Retry
from hansa.core.signal import Signal
from hansa.store import Store
from hansa.store.tables import audit

READERS_MAX: Final = 1000
POSITIONS_MAX: Final = 4000
"""Of one reader between two records."""
RANGES_MAX: Final = 128
"""In one record; the rest is counted."""
REFUSALS_MAX: Final = 256
"""Refusals that are counted by member, what, code and subject; further ones by code alone."""
FORWARDED_MAX: Final = 500
"""Writes between two records; what is more is counted by origin."""


class GatheredNotes:
    """The `AuditNotes` of this marketplace.

    Args:
        store: Has the audit log.
        clock: For the pause between records.
        retry: Repeats what the store refuses for a while.
        interval_s: That pause.
    """

    def __init__(self, store: Store, clock: Clock, retry: Retry, interval_s: float) -> None:
        self._store = store
        self._clock = clock
        self._retry = retry
        self._interval_s = interval_s
        self._gathered = _Gathered()
        self._added = Signal(clock)

    def served(self, member: str | None, positions: Iterable[int], count: int) -> None:
        """See `AuditNotes`."""
        if count:
            self._gathered.add_served(member or "", positions, count)
            self._added.notify()

    def refused(
        self, member: str | None, what: RefusedRequest, code: str, subject: str | None = None
    ) -> None:
        """See `AuditNotes`."""
        self._gathered.add_refused((member or "", what, code, subject or ""))
        self._added.notify()

    def forwarded(self, member: str, subject: str, method: str, digest: str, position: int | None) -> None:
        """See `AuditNotes`."""
        self._gathered.add_forwarded(_Forwarded(member, subject, method, digest, position))
        self._added.notify()

    async def recorded(self, member: str, positions: Iterable[int], authority: str) -> None:
        """See `AuditNotes`."""
        content = {"authority": authority, "member": member, "positions": ranges(positions)}
        async with self._store.transaction() as tx:
            await audit.append(tx, "served", content)

    async def run(self) -> None:
        """Append what was gathered, until cancelled; what is left then, too, if the store takes it."""
        seen = 0
        try:
            while True:
                await self._added.wait(seen)
                seen = self._added.count
                await self._clock.sleep(self._interval_s)
                await self._retry(self.flush)
        finally:
            with suppress(Unavailable):  # the store is being closed; what is left is as if it had crashed
                await self.flush()

    async def flush(self) -> None:
        """Append what was gathered.

        Raises:
            Unavailable: The store does not take it now; nothing is lost.
        """
        gathered, self._gathered = self._gathered, _Gathered()
        if gathered.is_empty:
            return
        try:
            async with self._store.transaction() as tx:
                await audit.append_all(tx, gathered.entries())
        except BaseException:
            gathered.add_all(self._gathered)
            self._gathered = gathered
            raise


class _Forwarded(msgspec.Struct, frozen=True):
    member: str
    subject: str
    method: str
    digest: str
    position: int | None


class _Gathered:
    """What happened between two records."""

    def __init__(self) -> None:
        self._served: Counter[str] = Counter()
        self._positions: dict[str, set[int]] = {}
        self._refused: Counter[tuple[str, str, str, str]] = Counter()
        self._forwarded: list[_Forwarded] = []
        self._forwarded_more: Counter[str] = Counter()

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened."""
        return not (self._served or self._refused or self._forwarded or self._forwarded_more)

    def add_served(self, reader: str, positions: Iterable[int], count: int) -> None:
        """Entities were served to a member; empty: to strangers, or to members beyond the bound."""
        if reader not in self._served and len(self._served) >= READERS_MAX:
            reader = ""
        self._served[reader] += count
        seen = self._positions.setdefault(reader, set())
        for position in positions:
            if len(seen) >= POSITIONS_MAX:
                break
            seen.add(position)

    def add_refused(self, name: tuple[str, str, str, str], count: int = 1) -> None:
        """Something was refused: member, what, code and subject."""
        if name not in self._refused and len(self._refused) >= REFUSALS_MAX:
            name = ("", name[1], name[2], "")  # the codes are few
        self._refused[name] += count

    def add_forwarded(self, one: _Forwarded) -> None:
        """An origin carried out a write."""
        if len(self._forwarded) < FORWARDED_MAX:
            self._forwarded.append(one)
        else:
            self._forwarded_more[one.member] += 1

    def add_all(self, other: _Gathered) -> None:
        """What happened after this, too."""
        for reader, count in other._served.items():
            self.add_served(reader, other._positions[reader], count)
        for name, count in other._refused.items():
            self.add_refused(name, count)
        for one in other._forwarded:
            self.add_forwarded(one)
        self._forwarded_more += other._forwarded_more

    def entries(self) -> Iterator[audit.Entry]:
        """As records."""
        for reader, count in self._served.items():
            who: dict[str, Any] = {"member": reader} if reader else {}
            positions = ranges(self._positions[reader])[:RANGES_MAX]
            yield "served", {**who, "authority": "public", "count": count, "positions": positions}
        for (member, what, code, subject), count in self._refused.items():
            named = {"code": code, "member": member, "subject": subject, "what": what}
            yield "refused", {**{key: text for key, text in named.items() if text}, "count": count}
        for one in self._forwarded:
            fields = msgspec.structs.asdict(one)
            yield "forwarded", {key: value for key, value in fields.items() if value is not None}
        for member, count in self._forwarded_more.items():
            yield "forwarded", {"count": count, "member": member}
