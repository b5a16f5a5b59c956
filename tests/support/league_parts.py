"""Parts of a member of a league in one process (`tests.support.league`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hansa.business.rules import DanglingReference
from hansa.identity import MemberAnswerCheck, MemberSigner
from hansa.replication.registry import MemberRegistry
from hansa.replication.sources.assembly import EntitySources, entity_sources

if TYPE_CHECKING:
    from tests.support.league import Marketplace


async def no_dangling_references(_: int) -> tuple[DanglingReference, ...]:
    """Nothing here has rules about references."""
    return ()


def sources_of(member: Marketplace) -> EntitySources:
    """What requests versions of the other members."""
    league, clock, limits = member.league, member.league.clock, member.league.limits
    signer = MemberSigner(member.key, member.did, clock, member.entropy, limits)
    registry = MemberRegistry(member.bus, clock, league.registered)
    answers = MemberAnswerCheck(member.did, lambda: league.registered)
    return entity_sources(
        *(member.store, member.bus, registry, league.network, signer, answers, member.policy, member.backlog),
        *(clock, member.entropy, limits),
    )
