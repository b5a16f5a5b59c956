"""The schedule of a soak: which process is killed or stopped when, drawn from a seed.

Times are shares of the whole, so a soak of two minutes and one of thirty have the same course:

    0 … 1    load at the honest members, and all attackers at once
    0.08 … 0.55   kills and stops, one after the other
    0.60     one honest member is restored from a backup that was made shortly before
    0.75     a double of the hostile member's validator signs beside it
    1        the load ends; all members catch up

While the double convicts its validator only three validators are left, of which none may be missing, so
nothing is killed any more.
"""

from __future__ import annotations

import random
from typing import Final, Literal

import msgspec

from tests.league.harness import ROLES, Role

Kind = Literal["kill", "stop", "hang", "restore", "double"]

DISTURBANCES: Final[tuple[Kind, ...]] = ("kill", "kill", "kill", "stop", "hang")
"""What is drawn from for a process that is disturbed."""
KILLS_FROM: Final = 0.08
KILLS_TO: Final = 0.55
KILL_PERIOD_S: Final = 14.0
"""From one to the next, on average."""
RESTORE_AT: Final = 0.6
DOUBLE_AT: Final = 0.75
HANG_S: Final = 4.0
"""How long a stopped process does nothing."""


class Act(msgspec.Struct, frozen=True):
    """Something that is done to a member at some time."""

    at_s: float
    """From the beginning of the load."""
    kind: Kind
    member: int
    """Its place in the league, from 0."""
    role: Role = "serve"
    """Which of its processes."""

    def __str__(self) -> str:
        return f"{self.at_s:.0f} s {self.kind} {self.role} of {self.member}"


def schedule(seed: int, duration_s: float, victims: tuple[int, ...], hostile: int) -> tuple[Act, ...]:
    """The acts of a soak, in their order.

    Args:
        seed: The same seed gives the same acts.
        duration_s: Of the load.
        victims: Honest members whose processes are killed; the last of them is restored from a backup.
        hostile: The member that attacks.
    """
    draw = random.Random(seed)
    acts: list[Act] = []
    at_s = KILLS_FROM * duration_s
    while at_s < KILLS_TO * duration_s:
        kind = draw.choice(DISTURBANCES)
        role: Role = "serve" if kind == "stop" else draw.choice(ROLES)
        acts.append(Act(round(at_s, 1), kind, draw.choice((*victims, hostile)), role))
        at_s += KILL_PERIOD_S * draw.uniform(0.7, 1.3)
    acts += [
        Act(round(RESTORE_AT * duration_s, 1), "restore", victims[-1]),
        Act(round(DOUBLE_AT * duration_s, 1), "double", hostile, "cometbft"),
    ]
    return tuple(acts)
