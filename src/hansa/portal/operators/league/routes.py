"""All paths of the pages about the league.

/operator   the state of the marketplace
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.portal.frame import Frame
from hansa.portal.frame.acts import Acts
from hansa.portal.frame.people import People, Role, Visit, page_for
from hansa.portal.operators.league.start import OperationPage, StateReads
from hansa.portal.operators.places import Places

PATHS: Final[Places] = ("/operator",)
"""Those that the navigation leads to."""


class LeagueSources(msgspec.Struct, frozen=True):
    """What knows what these pages show."""

    state: StateReads
    acts: Acts


class LeaguePages:
    """The handlers of these paths.

    Args:
        frame: Makes pages.
        people: Knows who is logged in.
        sources: What they show.
        places: Of the navigation.
    """

    def __init__(self, frame: Frame, people: People, sources: LeagueSources, places: Places) -> None:
        self._frame = frame
        self._people = people
        self._sources = sources
        self._places = places

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [Route("/operator", page_for(self._people, Role.OPERATOR, self.start))]

    async def start(self, visit: Visit) -> Response:
        """`GET /operator`."""
        page = OperationPage(places=self._places, state=await self._sources.state.state())
        return self._frame.negotiated(visit.request, "league/start.html", page)
