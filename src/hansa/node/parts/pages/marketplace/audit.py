"""The audit log of the store, as the pages of operators show it.

The chain is verified as it is looked at: each look goes on where the last one ended, so far as
`VERIFIED_AT_ONCE`. When all of it is verified, the next look begins anew, so that a change of an old record
is noticed, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from hansa.core.audit import AuditRecord, ChainStart, LogStart, export_line, verified
from hansa.core.clock import rfc3339_at
from hansa.core.errors import Refused
from hansa.portal.operators.marketplace.audit import AuditRecords, AuditRow, ChainState
from hansa.portal.operators.paging import ROWS
from hansa.replication.auditing.anchoring import stored_anchor
from hansa.store import Store
from hansa.store.tables import audit

READ_AT_ONCE: Final = 500
SEARCHED_MAX: Final = 10_000
"""Records that one page looks through."""
VERIFIED_AT_ONCE: Final = 5000
TEXT_MAX_CHARS: Final = 600
"""Of one value of a record that is shown."""


class StoredAudit:
    """The `AuditReads` of the pages.

    Args:
        store: Has the log.
        did: This marketplace.
    """

    def __init__(self, store: Store, did: str) -> None:
        self._store = store
        self._did = did
        self._verified = ChainStart()
        self._through = 0
        """How far it was verified when that was last done to the end."""
        self._fault: str | None = None

    async def page(self, kind: str, who: str, before: int) -> AuditRecords:
        """See `AuditReads`, as for what follows."""
        before = before or (await audit.head(self._store)).seq + 1
        sought, rows, searched = who.encode(), [], 0
        while searched < SEARCHED_MAX:
            page = await audit.newest(self._store, before, READ_AT_ONCE)
            for record in page:
                if (not kind or record.kind == kind) and sought in record.content:
                    rows.append(_shown(record))
                if len(rows) == ROWS:
                    return AuditRecords(tuple(rows), record.seq if record.seq > 1 else None)
            searched += len(page)
            if len(page) < READ_AT_ONCE:
                return AuditRecords(tuple(rows), None)
            before = page[-1].seq
        return AuditRecords(tuple(rows), before)

    async def chain(self) -> ChainState:
        """Verify what is new."""
        start, head = await audit.start(self._store), await audit.head(self._store)
        if self._verified.seq < start.seq or self._verified.seq >= head.seq:
            self._verified = start
        await self._verify(start)
        stored = await stored_anchor(self._store)
        return ChainState(
            first=start.seq + 1 if head.seq > start.seq else 0,
            last=head.seq,
            verified=max(self._verified.seq, self._through if self._fault is None else 0),
            fault=self._fault,
            anchored=stored.anchor.seq if stored is not None else 0,
            anchored_at=rfc3339_at(stored.time_s) if stored is not None else None,
        )

    async def _verify(self, start: ChainStart) -> None:
        count = 0
        while count < VERIFIED_AT_ONCE:
            page = await audit.page(self._store, self._verified.seq, READ_AT_ONCE)
            if start != await audit.start(self._store):
                return  # it was pruned meanwhile: the next look begins anew
            try:
                for record in verified(page, self._verified):
                    self._verified = ChainStart(record.seq, record.hash)
            except Refused as error:
                self._fault = error.message
                return
            count += len(page)
            if len(page) < READ_AT_ONCE:
                self._through, self._fault = self._verified.seq, None
                return
            await asyncio.sleep(0)

    async def export(self) -> AsyncIterator[bytes]:
        """The whole log, up to the record that is the newest now."""
        start, head = await audit.start(self._store), await audit.head(self._store)
        yield LogStart(self._did, start.seq, start.hash.hex()).line()
        after = start.seq
        while after < head.seq:
            page = await audit.page(self._store, after, min(READ_AT_ONCE, head.seq - after))
            if not page:
                return
            yield b"".join(map(export_line, page))
            after = page[-1].seq


def _shown(record: AuditRecord) -> AuditRow:
    content: dict[str, Any] = msgspec.json.decode(record.content)
    pairs = tuple((name, _text(value)) for name, value in content.items())
    return AuditRow(record.seq, record.time, record.kind, pairs)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= TEXT_MAX_CHARS else f"{text[:TEXT_MAX_CHARS]} …"
