"""From a plan that fails to the smallest one that fails still: fewer steps, then fewer members.

Steps are left out in runs, long ones first, as long as what is left fails (delta debugging). Then members
without steps are left out. Whether it fails in the same way does not matter: what is small is easy to read.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from hansa.sim.plan import LeaguePlan, Step

Fails = Callable[[LeaguePlan], bool]


def shrunk(plan: LeaguePlan, fails: Fails, runs_max: int) -> LeaguePlan:
    """The smallest plan that fails, as far as so many runs tell.

    Args:
        plan: Fails.
        fails: Runs a plan.
        runs_max: So often at most.
    """
    left = runs_max
    size = max(1, len(plan.steps) // 2)
    while size >= 1 and left > 0:
        start, has_shrunk = 0, False
        while start < len(plan.steps) and left > 0:
            steps = plan.steps[:start] + plan.steps[start + size :]
            candidate = msgspec.structs.replace(plan, steps=steps)
            left -= 1
            if fails(candidate):
                plan, has_shrunk = candidate, True
            else:
                start += size
        if not has_shrunk or size > len(plan.steps):
            size //= 2
    for member in reversed(range(2, plan.honest)):
        smaller = _without(plan, member)
        if left > 0 and smaller is not None:
            left -= 1
            plan = smaller if fails(smaller) else plan
    return plan


def _without(plan: LeaguePlan, member: int) -> LeaguePlan | None:
    """A plan without its last marketplace; None when that one does something."""
    if member != plan.honest - 1 or any(step.member == member for step in plan.steps):
        return None
    late = tuple(one for one in plan.late if one != member)
    return msgspec.structs.replace(plan, members=plan.members - 1, late=late)


def described(steps: tuple[Step, ...]) -> str:
    """The steps of a plan, one a line."""
    return "\n".join(
        f"  {n:3} {step.action} member {step.member}"
        + (f" slot {step.slot}" if step.slot else "")
        + (f" {step.text!r}" if step.text else "")
        + (f" {step.number:g}" if step.number else "")
        for n, step in enumerate(steps)
    )
