"""Whether the league waits for a validator that observes, and what the others have of its votes meanwhile.

Where no more than 2/3 of the power signs without it, no block is made, and there is nothing that observing
could count. Only the operator can know then that no other copy of the validator exists. What can be seen
from here is the rest: which votes of it, for the block that is being decided, are anywhere but in such a
copy.

Engines send one another, again and again and directly, every vote for the height and the round that both
are in (`gossipVotesRoutine` of CometBFT). So when another validator's engine has been connected to ours for
`SETTLED_S`, in the same height and round, whatever it has of our votes for that round is in our engine too.
What none of them has was lost with the copy that signed it, and signing it anew contradicts nothing that
anybody could show. That matters where the backup was made in the very round that is being decided: what it
remembers having signed would otherwise keep the validator from voting in that round, and without its vote
the round has no end.

A validator that is away may have a vote that nobody else has. It is named, and the operator decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from hansa.core.clock import Clock
from hansa.core.members import Member
from hansa.node.validator.observing import Standstill
from hansa.pubsub.engine import PROPOSAL, EngineProgress, SigningState

SETTLED_S: Final = 15.0
"""How long the engines have to be in one round before what ours has of it is what the others have."""
PROPOSING: Final = 3
"""The step from which on a round is under way (`consensus/types/round_state.go`)."""


class StandstillWatch:
    """Notices that the block which is being decided waits for our validator.

    Args:
        clock: Says how long engines have been in one round.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._place: tuple[object, ...] = ()
        """Height, round, and who is connected."""
        self._since_s = 0.0

    def look(
        self,
        progress: EngineProgress,
        connected: AbstractSet[str],
        others: Sequence[Member],
        own_power: int,
        votes: Sequence[SigningState],
    ) -> Standstill | None:
        """What the league stands still at; None when it does not wait for us, or not for long enough.

        Args:
            progress: Of our engine, which observes and is up to date.
            connected: Node ids of the engines that ours is connected to.
            others: The other members.
            own_power: Of our validator.
            votes: Of our validator, for the block that is being decided, as far as our engine has them.
        """
        validators = [member for member in others if member.power > 0]
        away = tuple(sorted(one.name for one in validators if connected.isdisjoint(one.node_ids)))
        present = sum(one.power for one in validators if one.name not in away)
        total = own_power + sum(one.power for one in validators)
        is_awaited = 3 * present <= 2 * total < 3 * (present + own_power)
        place = self._one_round(progress)
        if not is_awaited or place is None or any(vote > SigningState(*place, 3) for vote in votes):
            self._place = ()
            return None
        now_s = self._clock.monotonic()
        if self._place != (*place, away):
            self._place, self._since_s = (*place, away), now_s
        if now_s - self._since_s < SETTLED_S:
            return None
        step = max((vote.step for vote in votes if (vote.height, vote.round) == place), default=0)
        # A second proposal would be another one than the first, which may have arrived and not be shown.
        return Standstill(*place, max(step, PROPOSAL), away)

    def _one_round(self, progress: EngineProgress) -> tuple[int, int] | None:
        """Height and round that our engine and all of its peers are in; None when these differ."""
        try:
            height, round_, step = map(int, progress.step.split("/"))
        except ValueError:
            return None
        is_under_way = step >= PROPOSING or progress.transactions_waiting > 0
        if not is_under_way or height != progress.height + 1 or not progress.peer_rounds:
            return None
        return (height, round_) if set(progress.peer_rounds) == {(height, round_)} else None
