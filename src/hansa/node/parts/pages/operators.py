"""The pages for whoever operates the marketplace: what they are made from, put together."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.routing import BaseRoute

from hansa.core.clock import Clock
from hansa.core.identifiers import Entropy
from hansa.core.keys import KeySigner
from hansa.node.ledger_access.kinds import LightBlocks, NodeBus
from hansa.node.parts.pages.league.events import BusEvents
from hansa.node.parts.pages.league.members import LeagueMembers
from hansa.node.parts.pages.league.proposals import LeagueProposals
from hansa.node.parts.pages.league.replicas import ReplicaStates
from hansa.node.parts.pages.league.state import ReportedState
from hansa.node.parts.pages.league.validators import LeagueValidators
from hansa.node.parts.replication import Replication
from hansa.node.status import StatusReporter
from hansa.portal import Frame
from hansa.portal.frame.acts import Acts
from hansa.portal.frame.people import People
from hansa.portal.operators import OperatorFrame, Places
from hansa.portal.operators.league import PATHS as LEAGUE_PATHS
from hansa.portal.operators.league import LeaguePages, LeagueSources
from hansa.portal.operators.marketplace import PATHS as MARKETPLACE_PATHS
from hansa.replication.registry import MemberRegistry
from hansa.store import Store

PLACES: Final[Places] = (*LEAGUE_PATHS, *MARKETPLACE_PATHS)
"""All pages for operators that the navigation leads to."""


class Operated(msgspec.Struct, frozen=True):
    """The parts of the marketplace that these pages show and operate."""

    did: str
    endpoint: str
    store: Store
    bus: NodeBus
    key: KeySigner
    """Of the marketplace."""
    light: LightBlocks
    registry: MemberRegistry
    reporter: StatusReporter
    replication: Replication
    clock: Clock
    entropy: Entropy


def operator_pages(frame: Frame, people: People, acts: Acts, operated: Operated) -> list[BaseRoute]:
    """All routes of these pages."""
    shared = OperatorFrame(frame, people, acts, PLACES)
    return LeaguePages(shared, league_sources(operated)).routes()


def league_sources(operated: Operated) -> LeagueSources:
    """What the pages about the league show."""
    did, registry, control = operated.did, operated.registry, operated.replication.control
    peers = operated.replication.peers
    return LeagueSources(
        state=ReportedState(operated.reporter, registry),
        members=LeagueMembers(
            *(did, operated.store, operated.bus.for_strangers, registry, peers, control, operated.clock)
        ),
        replicas=ReplicaStates(did, control, registry),
        events=BusEvents(operated.bus.for_strangers, registry),
        validators=LeagueValidators(operated.bus.for_strangers, operated.light),
        endpoint=operated.endpoint,
        proposals=LeagueProposals(did, operated.bus, operated.key, operated.clock, operated.entropy),
    )
