"""Whether the league takes what this marketplace sends, and waits for its vote."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from hansa.core.errors import Unavailable
from hansa.node.health.conditions import NAMES_SHOWN_MAX, Condition, ConditionCode
from hansa.pubsub.league.reports import key_valid_until, proposals, suspended_until
from hansa.pubsub.league.state import LeagueState


class OwnMembership(msgspec.Struct, frozen=True):
    """What this marketplace is to its league."""

    did: str
    kid: str
    """Name of the key that signs here."""
    endpoint: str
    """Of the settings."""


def membership_conditions(own: OwnMembership, state: LeagueState) -> tuple[Condition, ...]:
    """Whether the league takes what this marketplace sends, and waits for its vote."""
    me = state.member(own.did)
    if me is None or not me.is_current:
        if me is None:
            message = "this marketplace is no member of the league"
        elif me.status == "removed":
            message = "the members have removed this marketplace from the league"
        else:
            message = "this marketplace has left the league"
        return (Condition(ConditionCode.NO_MEMBER, message),)
    conditions = []
    until = suspended_until(own.did, state)
    if until is not None:
        message = f"the members have suspended this marketplace{f' until {until}' if until else ''}"
        conditions.append(Condition(ConditionCode.MEMBER_SUSPENDED, message))
    if me.key(own.kid) is None:
        message = f"the league does not know the key that signs here ({own.kid[:16]})"
        conditions.append(Condition(ConditionCode.KEY_UNREGISTERED, message))
    valid_until = key_valid_until(own.did, own.kid, state)
    if valid_until is not None:
        message = f"the key that signs here ({own.kid[:16]}) is valid until {valid_until}"
        conditions.append(Condition(ConditionCode.KEY_EXPIRES, message))
    if me.endpoint != own.endpoint:
        message = f"the league knows this marketplace at {me.endpoint}, it was started as {own.endpoint}"
        conditions.append(Condition(ConditionCode.ENDPOINT_DIFFERS, message))
    waiting = [one for one in proposals(state, with_closed=False) if me.name in one.missing]
    if waiting:
        shown = ", ".join(one.hash[:12] for one in waiting[:NAMES_SHOWN_MAX])
        what = "1 proposal waits" if len(waiting) == 1 else f"{len(waiting)} proposals wait"
        conditions.append(
            Condition(ConditionCode.VOTE_MISSING, f"{what} for the vote of this marketplace: {shown}")
        )
    return tuple(conditions)


def membership_checks(
    league: Callable[[], Awaitable[LeagueState]], own: Callable[[], OwnMembership]
) -> Callable[[], Awaitable[tuple[Condition, ...]]]:
    """What looks at the membership of this marketplace.

    Args:
        league: What the members have decided. Raises `Unavailable`.
        own: What this marketplace is.
    """

    async def conditions() -> tuple[Condition, ...]:
        try:
            state = await league()
        except Unavailable:
            return ()  # which has conditions of its own
        return membership_conditions(own(), state)

    return conditions
