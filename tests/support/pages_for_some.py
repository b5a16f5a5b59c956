"""The pages that are for operators or providers, with recorded content."""

from __future__ import annotations

from starlette.routing import BaseRoute

from hansa.node.parts.pages.operators import PLACES
from hansa.portal import Frame
from hansa.portal.frame.people import People
from tests.support.business import Business
from tests.support.editing_pages import editing_pages
from tests.support.league_pages import league_pages
from tests.support.onboarding_site import onboarding_pages
from tests.support.operating_site import operating_routes
from tests.support.recorded_offers import recorded_offers


def pages_for_some(frame: Frame, people: People, business: Business) -> list[BaseRoute]:
    """Their routes."""
    return [
        *league_pages(frame, people).routes(),
        *recorded_offers(frame, people).routes(),
        *onboarding_pages(frame),
        *operating_routes(frame, people, PLACES),
        *editing_pages(frame, people, business),
    ]
