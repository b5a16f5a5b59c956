"""The routes that are the node's own: health, figures and status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.business.hub import HubDispatcher
from hansa.core.access import Authenticate
from hansa.core.cache import HasFigures
from hansa.node.http.traffic import Traffic
from hansa.node.ledger_view import LedgerView
from hansa.node.metrics import CONTENT_TYPE, metrics_text
from hansa.node.status import StatusReporter
from hansa.store import Store
from hansa.store.tables import subscriptions

JSON: Final = "application/json"
FRESH: Final = {"Cache-Control": "no-store"}


class OwnRoutes:
    """Handlers of the node's own paths."""

    def __init__(
        self,
        store: Store,
        reporter: StatusReporter,
        ledger: LedgerView,
        traffic: Traffic,
        hub: HubDispatcher,
        caches: Sequence[HasFigures],
        authenticate: Authenticate,
    ) -> None:
        self._store = store
        self._reporter = reporter
        self._ledger = ledger
        self._traffic = traffic
        self._hub = hub
        self._caches = caches
        self._authenticate = authenticate

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            Route("/livez", self.livez),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
            Route("/league/v1/status", self.status),
        ]

    async def livez(self, _: Request) -> Response:
        """`GET /livez`: that it answers. Other members compare their clocks with its Date header."""
        return Response(b'{"status":"alive"}', media_type=JSON, headers=FRESH)

    async def readyz(self, _: Request) -> Response:
        """`GET /readyz`: whether it is ready to take traffic, and what is not as it should be.

        503 when it is not ready. A ledger that stands still does not keep it from serving: that is
        `degraded`, 200, with the reasons.
        """
        readiness = await self._reporter.readiness()
        body = {
            "status": readiness.status,
            "reasons": readiness.reasons,
            "conditions": [condition.code for condition in readiness.conditions],
            "notes": readiness.notes,
        }
        status = 200 if readiness.is_ready else 503
        return Response(msgspec.json.encode(body), status, media_type=JSON, headers=FRESH)

    async def metrics(self, _: Request) -> Response:
        """`GET /metrics`."""
        report = await self._reporter.report()
        deliveries = await subscriptions.delivery_totals(self._store)
        text = metrics_text(
            report,
            self._traffic,
            self._store.writes_waiting,
            self._hub.counts_by_state(),
            deliveries,
            [cache.figures for cache in self._caches],
            await self._ledger.waiting(),
        )
        return Response(text, headers={"Content-Type": CONTENT_TYPE, **FRESH})

    async def status(self, request: Request) -> Response:
        """`GET /league/v1/status`: this marketplace and its view of the league."""
        caller = self._authenticate({name.lower(): value for name, value in request.headers.raw})
        report = await self._reporter.report(with_identifiers=caller.is_authenticated)
        return Response(msgspec.json.encode(report), media_type=JSON, headers=FRESH)
