"""What became of many events in one transaction, as records of the audit log: one for each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from hansa.core.audit import ANCHOR_TYPE, AuditKind, ranges
from hansa.core.errors import Code
from hansa.store import Transaction
from hansa.store.tables import audit
from hansa.store.tables.heads import NewHead
from hansa.store.tables.publications import Outgoing

DONE: Final = ""
"""In place of a code: nothing was wrong."""


class EventOutcomes:
    """Gathers outcomes by kind and code."""

    def __init__(self) -> None:
        self._positions: dict[AuditKind, dict[str, list[int]]] = {}

    def note(self, kind: AuditKind, position: int, code: str = DONE) -> None:
        """An event at a position had this outcome, for the reason of that code."""
        self._positions.setdefault(kind, {}).setdefault(code, []).append(position)

    def note_head(self, head: NewHead) -> None:
        """A version became this head of its key."""
        position, code = head.version.position, head.problem or ""
        if head.state == "stored":
            self.note("retrieved", position)
        elif head.state == "skipped" and code:
            self.note("skipped", position, code_with_condition(code, head.reason))
        elif head.state == "rejected":
            self.note("refused", position, code)

    async def append(self, tx: Transaction, **content: Any) -> None:
        """Append the records.

        Args:
            tx: In which it all happens.
            content: What they have in common.
        """
        if self._positions:
            await audit.append_all(tx, self._entries(content))

    def _entries(self, content: dict[str, Any]) -> Iterator[audit.Entry]:
        for kind, by_code in self._positions.items():
            if by_code.keys() == {DONE}:
                yield kind, {**content, "positions": ranges(by_code[DONE])}
            else:
                codes = {code: ranges(positions) for code, positions in by_code.items()}
                yield kind, {**content, "codes": codes}


def code_with_condition(code: str, reason: str | None) -> str:
    """A code, with the name of the condition that a reason begins with (`[name] sentence`)."""
    if reason is None or not reason.startswith("["):
        return code
    return f"{code} {reason[1:].partition(']')[0]}"


async def record_published(tx: Transaction, committed: Sequence[tuple[Outgoing, int]]) -> None:
    """Record which own events were committed, with their positions; an anchor has a record of its own."""
    positions = ranges(position for event, position in committed if event.type != ANCHOR_TYPE)
    if positions:
        await audit.append(tx, "published", {"positions": positions})


async def record_refused(tx: Transaction, codes: Sequence[Code]) -> None:
    """Record that own entities are not announced, because the ledger or the league does not take them."""
    if codes:
        counts = {str(code): count for code, count in Counter(codes).items()}
        await audit.append(tx, "refused", {"counts": counts, "what": "announcements"})
