"""Signs what a member says in the governance of its league."""

from __future__ import annotations

from collections.abc import Sequence

from hansa.core.clock import Clock, epoch_s
from hansa.core.governance.elements import BaseElement
from hansa.core.governance.forms import LeagueChange
from hansa.core.governance.proposals import PROPOSAL, VOTE, ChangeProposal, Choice, Vote
from hansa.core.governance.statements import STATEMENT, MemberAction, MemberStatement
from hansa.core.identifiers import Entropy, uuid7
from hansa.core.keys import KeySigner


class GovernanceSigner:
    """Makes the JWS of one member's proposals, votes and statements.

    Args:
        key: The registry holds its public half.
        did: The member's DID.
        league: Identifier of the league.
        clock: For the claimed signing time.
    """

    def __init__(self, key: KeySigner, did: str, league: str, clock: Clock) -> None:
        self._key = key
        self._did = did
        self._league = league
        self._clock = clock

    def propose(
        self,
        changes: Sequence[LeagueChange],
        base: Sequence[BaseElement],
        *,
        seq: int,
        expires_height: int,
        expires_time_ms: int,
        entropy: Entropy,
        note: str = "",
    ) -> str:
        """A proposal as a compact JWS; see `ChangeProposal` for its fields."""
        proposal = ChangeProposal(
            base=tuple(sorted(base)),
            changes=tuple(changes),
            expires_height=expires_height,
            expires_time_ms=expires_time_ms,
            id=uuid7(self._clock.now(), entropy),
            league=self._league,
            proposer=self._did,
            seq=seq,
            note=note,
        )
        return PROPOSAL.sign(proposal, self._key, self._signed_at_s())

    def vote(self, proposal: str, choice: Choice, *, seq: int) -> str:
        """A vote on the proposal of that hash, as a compact JWS."""
        return VOTE.sign(Vote(choice, self._league, proposal, seq, self._did), self._key, self._signed_at_s())

    def state(self, action: MemberAction, *, seq: int) -> str:
        """A statement as a compact JWS."""
        return STATEMENT.sign(
            MemberStatement(action, self._league, self._did, seq), self._key, self._signed_at_s()
        )

    def _signed_at_s(self) -> int:
        return epoch_s(self._clock)
