"""The pages for whoever operates the marketplace: what they are made from, put together."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.routing import BaseRoute

from hansa.node.parts.pages.league.state import ReportedState
from hansa.node.status import StatusReporter
from hansa.portal import Frame
from hansa.portal.frame.acts import Acts
from hansa.portal.frame.people import People
from hansa.portal.operators import Places
from hansa.portal.operators.league import PATHS as LEAGUE_PATHS
from hansa.portal.operators.league import LeaguePages, LeagueSources
from hansa.replication.registry import MemberRegistry
from hansa.store import Store

PLACES: Final[Places] = (*LEAGUE_PATHS,)
"""All pages for operators that the navigation leads to."""


class Operated(msgspec.Struct, frozen=True):
    """The parts of the marketplace that these pages show and operate."""

    store: Store
    registry: MemberRegistry
    reporter: StatusReporter


def operator_pages(frame: Frame, people: People, acts: Acts, operated: Operated) -> list[BaseRoute]:
    """All routes of these pages."""
    sources = LeagueSources(ReportedState(operated.reporter, operated.registry), acts)
    league = LeaguePages(frame, people, sources, PLACES)
    return league.routes()
