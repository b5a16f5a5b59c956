"""What gathers, anchors and prunes the audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from hansa.core.clock import Clock
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.replication.auditing.anchoring import Anchoring
from hansa.replication.auditing.notes import GatheredNotes
from hansa.replication.backlog import Backlog
from hansa.store import Store

BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 10.0


class Auditing(NamedTuple):
    """What runs beside the log."""

    backlog: Backlog
    """Shared with replication."""
    notes: GatheredNotes
    anchoring: Anchoring

    def tasks(self) -> tuple[tuple[str, Callable[[], Awaitable[None]]], ...]:
        """What runs in the background, by name."""
        return (("audit notes", self.notes.run), ("audit anchors", self.anchoring.run))


def auditing(
    store: Store, did: str, backlog: Backlog, clock: Clock, entropy: Entropy, limits: Limits
) -> Auditing:
    """The parts."""
    retry = Retry("audit log", clock, entropy, BACKOFF_MIN_S, BACKOFF_MAX_S)
    return Auditing(
        backlog,
        GatheredNotes(store, clock, retry, limits.audit_notes_interval_s),
        Anchoring(store, did, backlog.due.notify, clock, retry, limits),
    )
