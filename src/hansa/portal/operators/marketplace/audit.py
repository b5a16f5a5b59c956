"""The audit log of this marketplace: who did what, newest first, verified, and to be taken along.

/operator/audit             records, by kind and by whom
/operator/audit/export      the whole log as `hansa audit export` writes it, for `hansa audit verify`
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Protocol, get_args

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from hansa.core.audit import AuditKind
from hansa.core.errors import Code, Refused
from hansa.portal.frame.people import Visit
from hansa.portal.operators.operator_frame import OperatorFrame, requested_choice
from hansa.portal.operators.paging import address, number
from hansa.portal.operators.places import OperatorPage

PATH: Final = "/operator/audit"
KINDS: Final[tuple[AuditKind, ...]] = get_args(AuditKind)
WHO_MAX_CHARS: Final = 512
JSON_LINES: Final = "application/jsonl"
FILE_NAME: Final = "audit.jsonl"


class AuditRow(msgspec.Struct, frozen=True):
    """A record."""

    seq: int
    time: str
    kind: str
    content: tuple[tuple[str, str], ...]
    """What it says, as pairs."""


class AuditRecords(msgspec.Struct, frozen=True):
    """Records, the newest first."""

    records: tuple[AuditRow, ...]
    next_before: int | None
    """Where the search goes on; None: there are no older ones."""


class ChainState(msgspec.Struct, frozen=True):
    """What is known of the chain."""

    first: int
    """Number of the oldest record."""
    last: int
    """Number of the newest."""
    verified: int
    """Up to this number every record is the one that was written."""
    fault: str | None
    """What does not hold."""
    anchored: int
    """Number of the newest record that is announced on the ledger; 0: none."""
    anchored_at: str | None


class AuditPage(OperatorPage, frozen=True):
    """For the template `operating/audit.html`."""

    kind: str
    who: str
    records: tuple[AuditRow, ...]
    older: str | None
    """Path of older ones."""
    chain: ChainState
    kinds: tuple[str, ...] = KINDS


class AuditReads(Protocol):
    """Reads the log."""

    async def page(self, kind: str, who: str, before: int, /) -> AuditRecords:
        """Records with a smaller number, of a kind, and with a text in them."""

    async def chain(self) -> ChainState:
        """Verify what is new, and say how far that is."""

    def export(self) -> AsyncIterator[bytes]:
        """The whole log."""


class AuditPages:
    """The handlers.

    Args:
        frame: Of pages for operators.
        audit: Is read.
    """

    def __init__(self, frame: OperatorFrame, audit: AuditReads) -> None:
        self._frame = frame
        self._audit = audit

    def routes(self) -> list[BaseRoute]:
        """Both."""
        guarded = self._frame.guarded
        return [
            Route("/operator/audit", guarded(self.records)),
            Route("/operator/audit/export", guarded(self.export)),
        ]

    async def records(self, visit: Visit) -> Response:
        """`GET /operator/audit?kind=&who=&before=`."""
        request = visit.request
        kind, before = requested_choice(visit, "kind", ("", *KINDS)), number(request, "before")
        who = request.query_params.get("who", "").strip()
        if len(who) > WHO_MAX_CHARS:
            raise Refused(Code.INVALID, f"who has {WHO_MAX_CHARS} characters at most.")
        rows = await self._audit.page(kind, who, before)
        older = None
        if rows.next_before is not None:
            older = address(PATH, {"kind": kind, "who": who, "before": str(rows.next_before)})
        chain = await self._audit.chain()
        page = AuditPage(kind, who, rows.records, older, chain, places=self._frame.places)
        return self._frame.page(visit, "operating/audit.html", page)

    async def export(self, visit: Visit) -> Response:
        """`GET /operator/audit/export`."""
        del visit
        headers = {"Content-Disposition": f'attachment; filename="{FILE_NAME}"'}
        return StreamingResponse(self._audit.export(), media_type=JSON_LINES, headers=headers)
