"""All paths of the pages about the league.

/operator             the state of the marketplace
/operator/members     the members, and one of them
/operator/events      the events of the league, and one of them
/operator/validators  whose votes are in the latest blocks
/operator/proposals   what the members decide
/operator/replication what of other members is not here, and why
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.portal.frame.people import Visit
from hansa.portal.operators.league.events import EVENTS_PATH, EventsPages, LedgerEvents
from hansa.portal.operators.league.members import MEMBERS_PATH, MemberReads, MembersPages
from hansa.portal.operators.league.proposals import PROPOSALS_PATH, ProposalReads, ProposalsPages
from hansa.portal.operators.league.replication import REPLICATION_PATH, ReplicaReads, ReplicationPages
from hansa.portal.operators.league.start import OperationPage, StateReads
from hansa.portal.operators.league.validators import VALIDATORS_PATH, ValidatorReads, ValidatorsPages
from hansa.portal.operators.operator_frame import OperatorFrame
from hansa.portal.operators.places import Places

PATHS: Final[Places] = (
    "/operator",
    MEMBERS_PATH,
    EVENTS_PATH,
    VALIDATORS_PATH,
    PROPOSALS_PATH,
    REPLICATION_PATH,
)
"""Those that the navigation leads to."""


class LeagueSources(msgspec.Struct, frozen=True):
    """What knows what these pages show, and does what operators decide."""

    state: StateReads
    members: MemberReads
    replicas: ReplicaReads
    proposals: ProposalReads
    events: LedgerEvents
    validators: ValidatorReads
    endpoint: str
    """Of this marketplace."""


class LeaguePages:
    """The handlers of these paths.

    Args:
        frame: Of pages for operators.
        sources: What they show.
    """

    def __init__(self, frame: OperatorFrame, sources: LeagueSources) -> None:
        self._frame = frame
        self._state = sources.state
        self._parts = (
            MembersPages(frame, sources.members),
            EventsPages(frame, sources.events, sources.endpoint),
            ValidatorsPages(frame, sources.validators, sources.state),
            ProposalsPages(frame, sources.proposals),
            ReplicationPages(frame, sources.replicas),
        )

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        further = [route for part in self._parts for route in part.routes()]
        return [Route("/operator", self._frame.guarded(self.start)), *further]

    async def start(self, visit: Visit) -> Response:
        """`GET /operator`."""
        page = OperationPage(places=self._frame.places, state=await self._state.state())
        return self._frame.page(visit, "league/start.html", page)
