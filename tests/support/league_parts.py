"""Parts of a member of a league in one process (`tests.support.league`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from hansa.business.rules import DanglingReference
from hansa.core.confidential.agreement import PairwiseSecrets
from hansa.identity import MemberAnswerCheck, MemberSigner
from hansa.replication.confidential.demands import Demands
from hansa.replication.confidential.recognition import Recognition
from hansa.replication.confidential.return_exchange import ReturnClient
from hansa.replication.confidential.returns import SealedReturns
from hansa.replication.continuity.sealed_restoration import SealedRestoration
from hansa.replication.intake import check_type
from hansa.replication.registry import MemberRegistry
from hansa.replication.sources.assembly import EntitySources, entity_sources
from hansa.replication.sources.peers import PeerView

if TYPE_CHECKING:
    from tests.support.league import Marketplace


LEAGUE: Final = "league"
"""Name of the chain."""


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


def peers_of(member: Marketplace) -> PeerView:
    """What asks the other members how far they are."""
    league = member.league
    signer = MemberSigner(member.key, member.did, league.clock, member.entropy, league.limits)
    registry = MemberRegistry(member.bus, league.clock, league.registered)
    ranking = sources_of(member).ranking
    return PeerView(member.store, member.view, registry, ranking, league.network, signer, member.did)


class ConfidentialParts(NamedTuple):
    """What is confidential, of one member."""

    secrets: PairwiseSecrets
    demands: Demands
    recognition: Recognition
    restoration: SealedRestoration
    returns: SealedReturns


def confidential_parts(member: Marketplace) -> ConfidentialParts:
    """The parts that a member has while its store is open."""
    league, clock, limits = member.league, member.league.clock, member.league.limits
    secrets, demands = (
        PairwiseSecrets(LEAGUE),
        Demands(member.store, member.audiences, member.backlog.addressed),
    )
    types = member.audiences.types
    recognition = Recognition(member.did, LEAGUE, lambda: member.agreement_keys, secrets, types, limits)
    signer = MemberSigner(member.key, member.did, clock, member.entropy, limits)
    registry = MemberRegistry(member.bus, clock, league.registered)
    client = ReturnClient(league.network, signer, limits)
    restoration = SealedRestoration(
        *(member.bus, sources_of(member).parts, client, member.policy, demands),
        *(lambda: member.sealing, lambda: member.agreement_keys, secrets, LEAGUE, check_type),
    )
    returns = SealedReturns(
        *(member.store, member.bus, member.did, LEAGUE, registry, recognition, secrets, member.entropy)
    )
    return ConfidentialParts(secrets, demands, recognition, restoration, returns)
