"""What a proposal has to say beside its changes: what it was written against, and until when it is open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from hansa.core.clock import Clock, epoch_ms
from hansa.core.governance.elements import BaseElement
from hansa.core.governance.forms import LeagueChange
from hansa.pubsub.league.state import LeagueState
from hansa.pubsub.ledger.rules.changes import elements, touched_elements

BLOCKS_PER_S_MAX: Final = 25
"""More than a league of this engine makes, so that the time decides and not the height."""


def base_of(changes: Sequence[LeagueChange], state: LeagueState) -> tuple[BaseElement, ...]:
    """The elements that changes touch, as they are; ordered by name.

    Raises:
        RuleBroken: a change is malformed.
    """
    return elements.base_of(state, touched_elements(changes))


class Expiry(NamedTuple):
    """Until when a proposal is open."""

    height: int
    time_ms: int
    """Milliseconds since 1970."""


def expiry(state: LeagueState, lifetime_s: int, clock: Clock) -> Expiry:
    """When a proposal of now expires: by time, and at a height that is not reached before.

    The last block's time may lie far behind, so this machine's clock counts, too.
    """
    height = state.height + min(BLOCKS_PER_S_MAX * lifetime_s, state.params.proposal_life_max_blocks)
    now_ms = max(state.time_ms, epoch_ms(clock))
    return Expiry(height, now_ms + 1000 * lifetime_s)
