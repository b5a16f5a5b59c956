"""The routes that are the node's own: health, figures and status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.api.callers import require_operator
from hansa.business.hub import HubDispatcher
from hansa.core.access import OPERATOR, Authenticate
from hansa.core.cache import HasFigures
from hansa.core.errors import Refused
from hansa.core.histogram import Histogram
from hansa.core.http import NO_STORE, headers_of
from hansa.node.http.application import rest_application
from hansa.node.http.described.documents import LeagueDescriptions
from hansa.node.http.described.operations import (
    ASYNCAPI_PATH,
    OPENAPI_PATH,
    STATUS_PATH,
    Alive,
    ReadinessReport,
)
from hansa.node.http.traffic import Traffic
from hansa.node.ledger_view import LedgerView
from hansa.node.metrics import CONTENT_TYPE, metrics_text
from hansa.node.status import StatusReporter
from hansa.store import Store
from hansa.store.tables import subscriptions

JSON: Final = "application/json"


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
        commit_times: Histogram,
        authenticate: Authenticate,
        descriptions: LeagueDescriptions,
    ) -> None:
        self._store = store
        self._reporter = reporter
        self._ledger = ledger
        self._traffic = traffic
        self._hub = hub
        self._caches = caches
        self._commit_times = commit_times
        self._authenticate = authenticate
        self._descriptions = descriptions

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            Route("/livez", self.livez),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
            Route(STATUS_PATH, self.status),
            Route(OPENAPI_PATH, self.openapi),
            Route(ASYNCAPI_PATH, self.asyncapi),
        ]

    def metrics_application(self) -> Starlette:
        """What is served at `metrics_listen`: the figures, to everybody who reaches it."""
        return rest_application([Route("/metrics", self.all_metrics)])

    async def livez(self, _: Request) -> Response:
        """`GET /livez`: that it answers. Other members compare their clocks with its Date header."""
        return Response(msgspec.json.encode(Alive()), media_type=JSON, headers=NO_STORE)

    async def readyz(self, request: Request) -> Response:
        """`GET /readyz`: whether it is ready to take traffic, and what is not as it should be.

        503 when it is not ready. A ledger that stands still does not keep it from serving: that is
        `degraded`, 200, with the reasons. Operators read them with names and figures.
        """
        readiness = await self._reporter.readiness()
        is_operator = self._is_operator(request)
        body = ReadinessReport(
            status=readiness.status,
            conditions=readiness.codes,
            reasons=readiness.reasons if is_operator else readiness.public_reasons,
            notes=readiness.notes if is_operator else msgspec.UNSET,
        )
        status = 200 if readiness.is_ready else 503
        return Response(msgspec.json.encode(body), status, media_type=JSON, headers=NO_STORE)

    async def metrics(self, request: Request) -> Response:
        """`GET /metrics`, for operators; the listener of `metrics_listen` serves them without a token.

        Raises:
            Refused: `Code.UNAUTHENTICATED` or `Code.FORBIDDEN`.
        """
        require_operator(self._authenticate, request)
        return await self.all_metrics(request)

    async def all_metrics(self, _: Request) -> Response:
        """The figures, for whoever may read them."""
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
            self._commit_times,
        )
        return Response(text, headers={"Content-Type": CONTENT_TYPE, **NO_STORE})

    async def status(self, request: Request) -> Response:
        """`GET /league/v1/status`: this marketplace and its view of the league.

        Everybody gets what the ledger and the catalogue tell anyhow; the rest is for operators.
        """
        caller = self._authenticate(headers_of(request.headers.raw))
        is_operator = OPERATOR in caller.roles
        report = await (self._reporter.report() if is_operator else self._reporter.public_status())
        return Response(msgspec.json.encode(report), media_type=JSON, headers=NO_STORE)

    async def openapi(self, _: Request) -> Response:
        """`GET /league/v1/openapi.json`."""
        return Response(await self._descriptions.openapi(), media_type=JSON)

    async def asyncapi(self, _: Request) -> Response:
        """`GET /league/v1/asyncapi.json`."""
        return Response(await self._descriptions.asyncapi(), media_type=JSON)

    def _is_operator(self, request: Request) -> bool:
        """Whether an operator calls; anybody whose token does not verify is a stranger."""
        try:
            caller = self._authenticate(headers_of(request.headers.raw))
        except Refused:
            return False
        return OPERATOR in caller.roles
