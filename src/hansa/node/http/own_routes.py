"""The routes that are the node's own: health, figures, status and the front page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa import __version__
from hansa.business.hub import HubDispatcher
from hansa.core.cache import HasFigures
from hansa.node.http.traffic import Traffic
from hansa.node.ledger_view import LedgerView
from hansa.node.metrics import CONTENT_TYPE, metrics_text
from hansa.node.settings.loading import Settings
from hansa.node.status import StatusReporter
from hansa.portal import FrontPage, front_page, page_headers
from hansa.replication.registry import MemberRegistry
from hansa.store import Store
from hansa.store.tables import subscriptions

JSON: Final = "application/json"
FRESH: Final = {"Cache-Control": "no-store"}


class OwnRoutes:
    """Handlers of the node's own paths."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        ledger: LedgerView,
        registry: MemberRegistry,
        reporter: StatusReporter,
        traffic: Traffic,
        apis: int,
        hub: HubDispatcher,
        caches: Sequence[HasFigures],
    ) -> None:
        """`apis` is how many TM Forum Open APIs are served."""
        self._settings = settings
        self._store = store
        self._ledger = ledger
        self._registry = registry
        self._reporter = reporter
        self._traffic = traffic
        self._apis = apis
        self._hub = hub
        self._caches = caches

    def routes(self) -> list[BaseRoute]:
        """Everything that this object answers."""
        return [
            Route("/", self.front_page),
            Route("/livez", self.livez),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
            Route("/league/v1/status", self.status),
        ]

    async def livez(self, _: Request) -> Response:
        """Alive: this very answer. Its Date header is what other members compare their clocks with."""
        return Response(b'{"status":"alive"}', media_type=JSON, headers=FRESH)

    async def readyz(self, _: Request) -> Response:
        """Ready to take traffic, or why not."""
        reasons = await self._reporter.reasons()
        body = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        return Response(msgspec.json.encode(body), 503 if reasons else 200, media_type=JSON, headers=FRESH)

    async def metrics(self, _: Request) -> Response:
        """Figures."""
        report = await self._reporter.report()
        deliveries = await subscriptions.delivery_totals(self._store)
        text = metrics_text(
            report,
            self._traffic,
            self._store.writes_waiting,
            self._hub.counts_by_state(),
            deliveries,
            [cache.figures for cache in self._caches],
        )
        return Response(text, headers={"Content-Type": CONTENT_TYPE, **FRESH})

    async def status(self, _: Request) -> Response:
        """Everything about this marketplace and its view of the league."""
        return Response(msgspec.json.encode(await self._reporter.report()), media_type=JSON, headers=FRESH)

    async def front_page(self, _: Request) -> Response:
        """The portal."""
        ledger = await self._ledger.refresh()
        counts: dict[str, list[int]] = {}
        for entity in await self._reporter.entities():
            if entity.public:
                counts.setdefault(entity.type, [0, 0])[not entity.own] += entity.count
        page = FrontPage(
            name=self._settings.name,
            did=self._settings.did,
            version=__version__,
            counts=tuple((kind, own, others) for kind, (own, others) in sorted(counts.items())),
            apis=self._apis,
            members=self._registry.known(),
            height=ledger.height if ledger else None,
            position=ledger.position if ledger else None,
        )
        return Response(front_page(page), media_type="text/html", headers=page_headers())
