"""The routes that are the node's own: health, figures, status, the front page, and errors of all the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa import __version__
from hansa.api.responses import error_answer
from hansa.business.hub import HubDispatcher
from hansa.core.errors import Code, HansaError, Refused
from hansa.node.http.traffic import Traffic
from hansa.node.ledger_view import LedgerView
from hansa.node.metrics import CONTENT_TYPE, metrics_text
from hansa.node.registry import MemberRegistry
from hansa.node.settings.loading import Settings
from hansa.node.status import StatusReporter
from hansa.portal import FrontPage, front_page, page_headers
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
        desk: StatusReporter,
        traffic: Traffic,
        apis: int,
        hub: HubDispatcher,
    ) -> None:
        """`apis` is how many TM Forum Open APIs are served."""
        self._settings = settings
        self._store = store
        self._ledger = ledger
        self._registry = registry
        self._desk = desk
        self._traffic = traffic
        self._apis = apis
        self._hub = hub

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
        reasons = await self._desk.reasons()
        body = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        return Response(msgspec.json.encode(body), 503 if reasons else 200, media_type=JSON, headers=FRESH)

    async def metrics(self, _: Request) -> Response:
        """Figures."""
        report = await self._desk.report()
        deliveries = await subscriptions.delivery_totals(self._store)
        text = metrics_text(
            report, self._traffic, self._store.writes_waiting, self._hub.counts_by_state(), deliveries
        )
        return Response(text, headers={"Content-Type": CONTENT_TYPE, **FRESH})

    async def status(self, _: Request) -> Response:
        """Everything about this marketplace and its view of the league."""
        return Response(msgspec.json.encode(await self._desk.report()), media_type=JSON, headers=FRESH)

    async def front_page(self, _: Request) -> Response:
        """The portal."""
        ledger = await self._ledger.refresh()
        counts: dict[str, list[int]] = {}
        for entity in await self._desk.entities():
            if entity.public:
                counts.setdefault(entity.type, [0, 0])[not entity.own] += entity.count
        page = FrontPage(
            name=self._settings.name,
            did=self._settings.did,
            version=__version__,
            counts=tuple((kind, own, others) for kind, (own, others) in sorted(counts.items())),
            apis=self._apis,
            members=self._registry.members(),
            height=ledger.height if ledger else None,
            position=ledger.position if ledger else None,
        )
        return Response(front_page(page), media_type="text/html", headers=page_headers())


def rest_application(routes: Sequence[BaseRoute]) -> Starlette:
    """Everything but the TM Forum APIs, with errors in the one form that they have."""
    return Starlette(
        routes=list(routes),
        exception_handlers={HansaError: _on_error, HTTPException: _on_http_exception, Exception: _on_crash},
    )


async def _on_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HansaError)
    return _as_response(error)


async def _on_crash(_: Request, error: Exception) -> Response:
    """Starlette raises the error again after this answer, and the front door logs it."""
    del error
    return _as_response(HansaError(Code.INTERNAL, "internal"))


async def _on_http_exception(_: Request, error: Exception) -> Response:
    """What Starlette itself refuses: an unknown path, a method that a path does not have."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _as_response(Refused(Code.NOT_FOUND, "There is nothing at this path."))
    if error.status_code == 405:
        return _as_response(Refused(Code.METHOD_NOT_ALLOWED, "This path has no such method."), error.headers)
    if error.status_code >= 500:
        return _as_response(HansaError(Code.INTERNAL, "internal"))
    return _as_response(Refused(Code.MALFORMED, "The request cannot be understood."))


def _as_response(error: HansaError, further: Mapping[str, str] | None = None) -> Response:
    answer = error_answer(error)
    answer.headers.update(further or {})
    return answer
