"""Decisions of a simulated league: its members vote on who may publish."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from hansa.core.clock import Clock
from hansa.core.errors import Refused, Unavailable
from hansa.core.governance.changes import MemberStatusChange, VotedStatus
from hansa.core.governance.proposals import proposal_hash
from hansa.core.governance.signer import GovernanceSigner
from hansa.core.identifiers import Entropy
from hansa.pubsub.league.writing import base_of, expiry
from hansa.pubsub.ledger.commitments.governance import LEAGUE
from hansa.sim.members.member import SimulatedMember

OPEN_S: Final = 3600
"""How long a proposal is open."""


async def set_status(
    members: Sequence[SimulatedMember], did: str, status: VotedStatus, clock: Clock, entropy: Entropy
) -> None:
    """Have the first member propose another status of a member, and all vote for it.

    Args:
        members: All of the league; they run, and reach the ledger.
        did: Of the member.
        status: The status.
        clock: For expiry, and the claimed times of signing.
        entropy: For the identifier of the proposal.
    """
    first = members[0]
    assert first.process is not None, "all run"
    state = await first.process.bus.league()
    if any(one.did == did and one.status == status for one in state.members):
        return
    record = state.record("league", "league")
    assert record is not None, "the league has votes"
    signers = [GovernanceSigner(one.one.key, one.did, LEAGUE.read(record).id, clock) for one in members]
    changes = [MemberStatusChange(did, status)]
    base, expires = base_of(changes, state), expiry(state, OPEN_S, clock)
    governed = await first.process.bus.govern(
        "propose",
        first.did,
        lambda seq: signers[0].propose(
            *(changes, base),
            seq=seq,
            expires_height=expires.height,
            expires_time_ms=expires.time_ms,
            entropy=entropy,
        ),
    )
    name = proposal_hash(governed.jws)
    for member, signer in zip(members, signers, strict=True):
        assert member.process is not None, "all run"
        with suppress(Refused, Unavailable):  # it is decided already
            await member.process.bus.govern("vote", member.did, partial(_vote, signer, name))


def _vote(signer: GovernanceSigner, name: str, seq: int) -> str:
    return signer.vote(name, "yes", seq=seq)
