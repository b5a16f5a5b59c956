"""What is wrong with how a light member follows others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hansa.node.health.conditions import NAMES_SHOWN_MAX, Condition, ConditionCode
from hansa.pubsub.light_member.followed import FollowedStatus
from hansa.pubsub.light_member.following import FollowingStatus


def following_conditions(status: FollowingStatus, name_of: Callable[[str], str]) -> tuple[Condition, ...]:
    """Whether a light member can go on, and who of the followed members is not as it should be.

    Args:
        status: How the following goes.
        name_of: Name of the member at an endpoint.
    """
    conditions = []
    if status.problem is not None:
        conditions.append(Condition(ConditionCode.LEDGER_UNVERIFIED, status.problem))
    wrong = [one for one in status.sources if one.behavior in {"lies", "withholds"}]
    late = [one for one in status.sources if one.behavior in {"late", "silent"}]
    if status.sources and not status.has_answer and len(late) + len(wrong) == len(status.sources):
        message = (
            f"none of the {len(status.sources)} followed members answers as it should; what was verified up to block "
            f"{status.height:,} is served"
        )
        conditions.append(Condition(ConditionCode.NO_FOLLOWED_MEMBER, message))
    elif late:
        conditions.append(Condition(ConditionCode.FOLLOWED_MEMBER_LATE, _listed(late, name_of)))
    if wrong:
        conditions.append(Condition(ConditionCode.FOLLOWED_MEMBER_WRONG, _listed(wrong, name_of)))
    return tuple(conditions)


def _listed(sources: Sequence[FollowedStatus], name_of: Callable[[str], str]) -> str:
    shown = [f"{name_of(one.endpoint)} ({one.behavior}: {one.reason.rstrip('.')})" for one in sources]
    more = "; …" if len(shown) > NAMES_SHOWN_MAX else ""
    return "; ".join(shown[:NAMES_SHOWN_MAX]) + more
