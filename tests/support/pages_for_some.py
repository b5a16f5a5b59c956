"""The pages that are for operators or providers, with recorded content."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.node.parts.pages.operators import PLACES
from hansa.portal import Frame
from hansa.portal.accounts import AccountPages
from hansa.portal.frame.people import People
from tests.support.business import Business
from tests.support.editing_pages import editing_pages
from tests.support.league_pages import RIGA, league_pages
from tests.support.onboarding_site import onboarding_pages
from tests.support.operating_site import operating_routes
from tests.support.recorded_offers import recorded_offers


async def stream(request: Request) -> Response:
    """One event after those that are on the recorded page, and then nothing more."""
    event = {"issuer": RIGA, "type": "categoryDeleteEvent", "entity": {"key": "ab" * 32, "version": 2}}
    data = json.dumps({"position": 1235, "time": "2026-11-30T12:00:09.000Z", "event": event})
    is_new = request.query_params.get("after") == "1234"
    content = f"id: 1235\nevent: categoryDeleteEvent\ndata: {data}\n\n" if is_new else ": nothing\n\n"
    return Response(content, media_type="text/event-stream")


def pages_for_some(frame: Frame, people: People, business: Business) -> list[BaseRoute]:
    """Their routes."""
    return [
        *AccountPages(frame, people).routes(),
        *league_pages(frame, people).routes(),
        Route("/league/v1/events/stream", stream),
        *recorded_offers(frame, people).routes(),
        *onboarding_pages(frame),
        *operating_routes(frame, people, PLACES),
        *editing_pages(frame, people, business),
    ]
