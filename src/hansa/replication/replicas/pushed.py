"""Bytes that other members have pushed, until the events that announce them are read from the ledger.

They are in memory, by the member that sent them, so that nobody's bytes take the place of another's: of each
member `ORIGIN_MAX_BYTES` at most, the oldest of its own leave first, and all leave after `RETAINED_S`.
Nothing is believed of them. Whoever takes them verifies them like a response to a request.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from hansa.core.clock import Clock
from hansa.replication.announced.bundles import BundledPart

RETAINED_S: Final = 60.0
ORIGIN_MAX_BYTES: Final = 16_777_216
ORIGIN_PARTS_MAX: Final = 20_000
TOTAL_MAX_BYTES: Final = 134_217_728
OVERHEAD_BYTES: Final = 512
"""Of each part in memory, beside its bytes."""


class _OfMember:
    """What one member has pushed, oldest first."""

    def __init__(self) -> None:
        self.parts: OrderedDict[tuple[str, str], tuple[float, bytes]] = OrderedDict()
        self.size_bytes = 0

    def remove(self, name: tuple[str, str]) -> bytes | None:
        """Remove a part; its bytes."""
        entry = self.parts.pop(name, None)
        if entry is None:
            return None
        self.size_bytes -= len(entry[1]) + OVERHEAD_BYTES
        return entry[1]

    def remove_oldest(self) -> None:
        """Remove the part that was received first."""
        self.remove(next(iter(self.parts)))


class PushedParts:
    """What other members have pushed.

    Args:
        clock: For how long.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._members: dict[str, _OfMember] = {}

    @property
    def size_bytes(self) -> int:
        """How much memory all of them take, about."""
        return sum(one.size_bytes for one in self._members.values())

    def put(self, did: str, parts: Sequence[BundledPart]) -> None:
        """Retain what a member has pushed, as far as there is room."""
        now_s = self._clock.monotonic()
        self._remove_expired(now_s)
        own = self._members.setdefault(did, _OfMember())
        room_bytes = min(ORIGIN_MAX_BYTES, TOTAL_MAX_BYTES - (self.size_bytes - own.size_bytes))
        for part in parts:
            name, body = (part.key, part.hashlink), bytes(part.entity)
            size_bytes = len(body) + OVERHEAD_BYTES
            if size_bytes > room_bytes:
                continue
            own.remove(name)
            while own.parts and (
                own.size_bytes + size_bytes > room_bytes or len(own.parts) >= ORIGIN_PARTS_MAX
            ):
                own.remove_oldest()
            own.parts[name] = (now_s + RETAINED_S, body)
            own.size_bytes += size_bytes
        assert own.size_bytes <= ORIGIN_MAX_BYTES, "a member has its room and no more"

    def take(self, did: str, key: str, hashlink: str) -> bytes | None:
        """The bytes that a member has pushed for a version of its own, which leave; None: there are none."""
        own = self._members.get(did)
        if own is None:
            return None
        body = own.remove((key, hashlink))
        if not own.parts:
            del self._members[did]
        return body

    def _remove_expired(self, now_s: float) -> None:
        for did in tuple(self._members):
            own = self._members[did]
            while own.parts and next(iter(own.parts.values()))[0] <= now_s:
                own.remove_oldest()
            if not own.parts:
                del self._members[did]
