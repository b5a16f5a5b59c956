"""`GET /league/v1/audit?after=…&limit=…`: records of the audit log as JSON Lines, in order.

The header `X-Chain-Start` says where the log begins, number and hash, for whoever verifies it;
`X-Chain-Member` whose it is; `X-Last-Record` how far it goes.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hansa.api.callers import require_operator
from hansa.api.parameters import POSITION_MAX, Parameters, page_size, position
from hansa.core.access import Authenticate
from hansa.core.audit import export_line
from hansa.core.limits import Limits
from hansa.replication.exchange import JSON_LINES
from hansa.store import Store
from hansa.store.tables import audit

AUDIT_PATH: Final = "/league/v1/audit"


class AuditApi:
    """Serves the log.

    Args:
        store: Has it.
        authenticate: Finds out who calls.
        did: This member.
        limits: `list_limit_default`, `list_limit_max`.
    """

    def __init__(self, store: Store, authenticate: Authenticate, did: str, limits: Limits) -> None:
        self._store = store
        self._authenticate = authenticate
        self._did = did
        self._limits = limits

    async def page(self, request: Request) -> Response:
        """A page of records."""
        require_operator(self._authenticate, request)
        parameters = Parameters(request, {"after": position, "limit": page_size}, self._limits)
        after = parameters.number("after", 0, 0, POSITION_MAX)
        limit = parameters.page_size(self._limits.list_limit_default)
        while True:
            start, head = await audit.start(self._store), await audit.head(self._store)
            records = await audit.page(self._store, after, limit)
            if start == await audit.start(self._store):
                break  # nothing was pruned meanwhile
        headers = {
            "x-chain-member": self._did,
            "x-chain-start": f"{start.seq} {start.hash.hex()}",
            "x-last-record": str(head.seq),
        }
        return Response(b"".join(map(export_line, records)), media_type=JSON_LINES, headers=headers)
