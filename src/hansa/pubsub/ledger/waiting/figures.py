"""How much waits for a block at this member, and what it has refused to let wait."""

from __future__ import annotations

import msgspec


class QueueFigures(msgspec.Struct, frozen=True):
    """The queue of one sender."""

    did: str
    transactions: int
    size_bytes: int


class WaitingFigures(msgspec.Struct, frozen=True):
    """The queues of all senders of which something waits, and refusals since the application's start."""

    queues: tuple[QueueFigures, ...] = ()
    """In the order of their DIDs; only members have one."""
    refused: dict[str, int] = {}
    """Submissions that were refused, by the code of the refusal."""
