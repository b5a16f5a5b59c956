"""Plans: what happens in a simulated league, drawn from a seed before anything runs.

Every step says all that it needs, so a plan stays a plan when steps are left out of it
(`hansa.sim.shrinking`). A plan also says who is in the league and how tight the limits are; small pages and
batches reach the edges of code with a dozen entities.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

SLOTS: Final = 8
"""Entities of a member that the workload writes, one after the other."""
CONTESTED: Final = 4
"""Identifiers that several members want."""
TYPES: Final = ("ProductOffering", "ProductOffering", "ProductSpecification", "Category")
"""Of the entities of a member, by slot, again and again."""
STATUSES: Final = ("Launched", "Launched", "Launched", "Active", "Retired")
CONSUME: Final = ("", "", "offerings", "not-retired", "not-categories", "not-french", "not-french")
CONSUME_SHORTLY: Final = ("not-offerings", "not-offerings", "not-categories", "offerings")
"""Conditions on what is taken in that hold for a short time."""
PUBLISH: Final = ("", "", "launched-only", "no-categories")
CRASHES: Final = ("", "commit", "commit", "block", "message")
"""What a crash waits for: nothing; a transaction on the disk; the next block; the next request."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happens."""

    action: str
    member: int = 0
    slot: int = 0
    text: str = ""
    number: float = 0.0
    """Of seconds, turns, shares or writes; of members, a bit for each."""


class LeaguePlan(msgspec.Struct, frozen=True):
    """One history of a league."""

    seed: int
    members: int
    is_lying: bool
    """Whether the last member lies."""
    is_tight: bool
    """Whether pages and batches are small."""
    late: tuple[int, ...]
    """Members that join when the others have begun, with a step `start`, or at the end."""
    steps: tuple[Step, ...]

    @property
    def honest(self) -> int:
        """How many members are marketplaces; the one that lies comes after them."""
        return self.members - self.is_lying


_WRITES: Final = (
    ("create", 24),
    ("update", 30),
    ("delete", 5),
    ("hide", 5),
    ("show", 4),
    ("status", 7),
    ("burst", 7),
    ("forward", 9),
    ("repeat", 5),
    ("contest", 3),
    ("chain", 2),
    ("choose", 4),
    ("order", 2),
    ("live shortly", 3),
)
_FAULTS: Final = (
    ("crash", 10),
    ("stop", 3),
    ("start", 5),
    ("part", 5),
    ("rejoin", 5),
    ("slow", 4),
    ("lossy", 3),
    ("proxy", 5),
    ("engine", 4),
    ("blocks", 3),
    ("submissions", 3),
    ("lag", 5),
    ("disk", 4),
    ("back up", 2),
    ("restore", 1),
    ("heal", 4),
)
_OPERATORS: Final = (("consume", 5), ("publish", 3), ("resync", 2), ("retry", 2), ("anchor", 3))
_LIES: Final = (
    ("lie", 6),
    ("forge", 4),
    ("steal", 6),
    ("push", 6),
    ("pry", 2),
    ("flood", 2),
)
PATIENCE_MAX_S: Final = 4000.0
"""Longest time that passes while something is broken."""
CROWDED: Final = 0.01
"""Share of the plans with very many members."""
SHORT_CONDITIONS: Final = 0.12
"""Share of the plans in which other conditions hold for a short time."""
RESTORATIONS: Final = 0.06
"""Share of the plans in which a store is lost, and conditions change before anything of it is back."""
SUSPENSIONS: Final = 0.06
"""Share of the plans in which a member is suspended, and writes all the same."""
READDRESSED: Final = 0.06
"""Share of the plans in which a store is lost, and what was sealed since its backup is then for others."""
UNDONE: Final = 0.06
"""Share of the plans in which a disk is full while an entity is changed and deleted at the same time."""
WRONG_CLOCKS: Final = 0.15
"""Share of the plans in which clocks step."""
CLOCK_STEPS_S: Final = (-90_000.0, -3_600.0, -40.0, -3.0, 3.0, 250.0, 3_600.0, 20_000.0)
"""How much later than it is a member takes it to be."""
PRIVATE_SLOT: Final = 300
"""Of an entity whose identifier is bound, so that it can be confidential."""
MANY: Final = (10, 14, 20)
PATIENT: Final = 0.12
"""Share of the plans in which days pass."""


class Theme(msgspec.Struct, frozen=True):
    """What some plans have more of, since some faults need several rare things at once."""

    often: Mapping[str, float] = {}
    """How much more often something is done, by action."""
    slots: tuple[int, ...] = tuple(range(SLOTS))
    """Of the entities that are written."""
    members: tuple[int, ...] = (2, 2, 3, 3, 3, 3, 4, 4, 4, 5, 5)
    consume: tuple[str, ...] = CONSUME
    """Of the conditions on what is taken in."""
    lying: float = 0.3
    """Share of the plans with three members and more in which the last one lies."""


THEMES: Final[Mapping[str, Theme]] = {
    "anything": Theme(members=(2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4, 5, 5, 7)),
    "torn": Theme({"crash": 8, "burst": 2, "repeat": 2, "part": 0.3, "stop": 0.3}),
    "short lives": Theme(
        {"live shortly": 20, "slow": 6, "lossy": 3, "delete": 4, "hide": 3, "show": 2}, slots=(0, 1, 2)
    ),
    "busy": Theme({"burst": 8, "blocks": 5, "slow": 3, "lossy": 3, "lag": 2, "forward": 4}, slots=(0, 1)),
    "contested": Theme({"contest": 20, "steal": 6, "forward": 0.3}, members=(3, 3, 4, 5), lying=0.4),
    "needs": Theme(
        {"create": 2, "status": 6, "hide": 4, "show": 4, "chain": 6, "publish": 3, "consume": 8},
        slots=(0, 1, 2, 2, 3, 3),
        consume=("offerings", "offerings", "offerings", "", "not-categories"),
    ),
    "failing": Theme({"part": 5, "lossy": 5, "proxy": 5, "slow": 2, "retry": 3}, members=(2, 2, 3)),
    "confidential": Theme(
        {
            "choose": 14,
            "show": 4,
            "hide": 2,
            "order": 6,
            "crash": 2,
            "pry": 3,
            "status": 3,
            "consume": 6,
            "back up": 3,
            "restore": 4,
            "anchor": 4,
        },
        slots=(0, 1, 300, 301, 400),
        members=(3, 4, 4, 6),
        consume=("", "not-offerings", "not-offerings", "not-retired", "not-french"),
    ),
    "lying": Theme({"push": 3, "forge": 2}, members=(3, 3, 4), lying=1.0),
}
"""By name; seeds take turns."""


def plan_of(seed: int) -> LeaguePlan:
    """The plan of a seed."""
    drawn = random.Random(f"plan {seed}")  # noqa: S311 - to be repeated, not to be secret
    theme = tuple(THEMES.values())[seed % len(THEMES)]
    members = drawn.choice(MANY if drawn.random() < CROWDED else theme.members)
    is_lying = members > 2 and drawn.random() < theme.lying
    is_patient = drawn.random() < PATIENT
    groups = [
        (_WRITES, 6.0),
        (_FAULTS, drawn.choice((1.0, 2.5, 4.0))),
        (_OPERATORS, drawn.choice((0.2, 0.8))),
        (_LIES, 2.5 if is_lying else 0.0),
    ]
    weights = _weights(groups, theme)
    count = drawn.randint(15, 45)
    steps = [
        Step("create", member, slot, drawn.choice(("bound", "chosen", "chosen referring")))
        for slot in (2, 3, 0, 1)
        for member in range(members - is_lying)
        if drawn.random() < 0.7
    ]
    for action in drawn.choices(tuple(weights), tuple(weights.values()), k=count):
        steps.append(_step(action, members - is_lying, theme, drawn))
        if steps[-1].text == "commit":  # then something is written, whether the entity is there or not
            place = steps[-1].member, drawn.choice(theme.slots)
            steps += [Step("create", *place, "bound"), Step("update", *place)]
        if drawn.random() < 0.5:
            steps.append(Step("wait", number=drawn.choice((0.01, 0.05, 0.2, 0.5, 1.0, 5.0, 30.0))))
        if is_patient and drawn.random() < 0.12:
            wait_s = drawn.choice((3_600.0, 30_000.0, 100_000.0))
            if wait_s > PATIENCE_MAX_S:  # who retries each second for a day costs more than it shows
                steps.append(Step("heal"))
            steps.append(Step("wait", number=wait_s))
    _let_clocks_step(seed, members - is_lying, steps)
    steps += _scenes(seed, members - is_lying)
    late = tuple(one for one in range(2, members - is_lying) if drawn.random() < 0.3)
    return LeaguePlan(seed, members, is_lying, drawn.random() < 0.7, late, tuple(steps))


def _let_clocks_step(seed: int, honest: int, steps: list[Step]) -> None:
    """Have the clocks of some members step, anywhere in a plan; seldom.

    It is drawn apart from the rest of a plan.
    """
    drawn = random.Random(f"clocks {seed}")  # noqa: S311 - to be repeated, not to be secret
    if drawn.random() < WRONG_CLOCKS:
        for _ in range(drawn.randint(1, 4)):
            step = Step("clock", drawn.randrange(honest), number=drawn.choice((0.0, *CLOCK_STEPS_S)))
            steps.insert(drawn.randrange(len(steps) + 1), step)


def _scenes(seed: int, honest: int) -> list[Step]:
    """What takes several steps in a row, which seldom come so by themselves; often nothing.

    It is drawn apart from the rest of a plan.

    A rule that is another one for some iterations of the loop, and what it was again: within the walk over
    the past. A store that is lost when another member has something of it that conditions do not let out
    any more: only what comes back says that the other member has it, and that it has to be withdrawn there.
    A member that may publish nothing for a while, and has written before it may again. An entity that was
    sealed for one member, and is for another one when its store is one that knows nothing of that. A
    deletion for which the disk has no room, and changes that may have seen it.
    """
    drawn = random.Random(f"scenes {seed}")  # noqa: S311 - to be repeated, not to be secret
    member, other = drawn.sample(range(honest), 2)
    scene = drawn.random()
    if scene < SHORT_CONDITIONS:
        iterations = float(drawn.choice((5, 20, 40, 80)))
        return [
            *(Step("heal"), Step("start", member), Step("start", other)),
            *(Step("create", other, 0, "bound"), Step("consume", member), Step("wait", number=30.0)),
            Step("consume shortly", member, text=drawn.choice(CONSUME_SHORTLY), number=iterations),
        ]
    if scene < SHORT_CONDITIONS + RESTORATIONS:
        return [
            *(Step("heal"), Step("start", member), Step("start", other)),
            *(Step("publish", member), Step("wait", number=5.0)),
            *(Step("choose", member, PRIVATE_SLOT, number=float(1 << other)), Step("wait", number=5.0)),
            *(Step("restore", member), Step("publish", member, text="not-offerings")),
        ]
    if scene < SHORT_CONDITIONS + RESTORATIONS + SUSPENSIONS:
        return [
            *(Step("heal"), *(Step("start", each) for each in range(honest)), Step("wait", number=1.0)),
            *(Step("suspend", member), Step("create", member, 1, "bound"), Step("update", member, 0)),
            *(Step("choose", member, PRIVATE_SLOT, number=float(1 << other)), Step("update", other, 0)),
            *(Step("live shortly", member, number=1.0), Step("wait", number=drawn.choice((0.5, 60.0)))),
            Step(drawn.choice(("crash", "back up", "restore", "wait")), member),
        ]
    scene -= SHORT_CONDITIONS + RESTORATIONS + SUSPENSIONS
    if scene < READDRESSED:
        third = next((each for each in range(honest) if each not in (member, other)), None)
        again = Step("hide", member, PRIVATE_SLOT)
        if third is not None:
            again = Step("choose", member, PRIVATE_SLOT, number=float(1 << third))
        return [
            *(Step("heal"), *(Step("start", each) for each in range(honest)), Step("publish", member)),
            *(Step("create", member, PRIVATE_SLOT, "bound"), Step("back up", member)),
            *(Step("choose", member, PRIVATE_SLOT, number=float(1 << other)), Step("wait", number=5.0)),
            *(Step("restore", member), Step("wait", number=30.0), again),
        ]
    if scene < READDRESSED + UNDONE:
        bursts = [Step("burst", member, 0, number=8.0) for _ in range(2)]
        return [
            *(Step("heal"), Step("start", member), Step("create", member, 0, "bound")),
            *(Step("wait", number=5.0), Step("disk", member), *bursts, Step("wait", number=1.0)),
            *(*bursts, Step("delete", member, 0), Step("wait", number=0.5)),
        ]
    return []


def _weights(groups: Sequence[tuple[Sequence[tuple[str, float]], float]], theme: Theme) -> dict[str, float]:
    """How often each action is done, from the shares of its group and within it."""
    return {
        action: share * weight / sum(each for _, each in actions) * theme.often.get(action, 1.0)
        for actions, share in groups
        for action, weight in actions
    }


def _step(action: str, honest: int, theme: Theme, drawn: random.Random) -> Step:
    member, slot = drawn.randrange(honest), drawn.choice(theme.slots)
    text, number = "", 0.0
    match action:
        case "create":
            text = drawn.choice(
                ("bound", "chosen", "chosen draft", "bound draft", "chosen referring", "bound referring")
            )
            text += drawn.choice(("", "", " french"))
        case "status":
            text = drawn.choice(STATUSES)
        case "burst" | "forward" | "repeat":
            number = float(drawn.randint(2, 8))
        case "live shortly":
            number = drawn.choice((0.0, 0.05, 0.3, 1.0, 2.0, 3.0, 4.0))
        case "choose" | "order":
            number = float(drawn.randrange(1, 2**honest))
        case "contest":
            slot = drawn.randrange(CONTESTED)
        case "crash":
            text = drawn.choice(CRASHES)
            passes = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89)
            number = float(drawn.choice((1, 2, 2, 3, 3, 4, 5, 8) if text == "commit" else passes))
        case "slow":
            number = drawn.choice((0.05, 0.5, 3.0, 30.0))
        case "lossy":
            number = drawn.choice((0.05, 0.2, 0.5))
        case "proxy":
            text = drawn.choice(("404", "500", "503", "200", "bytes", "bytes", "nonsense", "cut", "endless"))
        case "engine":
            text = drawn.choice(("down", "up"))
        case "blocks" | "lag":
            number = drawn.choice((0.2, 1.0, 4.0, 20.0))
        case "submissions":
            number = drawn.choice((0.2, 0.6))
        case "disk":
            number = float(drawn.choice((0, 1, 4)))
        case "consume":
            text = drawn.choice(theme.consume)
        case "publish":
            text = drawn.choice(PUBLISH)
        case "lie":
            text = drawn.choice(("wrong", "stale", "withheld", "garbage", "slow", ""))
        case "forge" | "push":
            text = drawn.choice(("wrong", "older", "another's", "private"))
        case "flood":
            number = float(drawn.choice((30, 120)))
        case _:
            pass
    return Step(action, member, slot, text, number)
