"""Carries a scenario out, and judges it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from hansa.node.health import ConditionCode
from tests.league.disks import mounted_disk
from tests.league.engine_clock import engine_with_clock
from tests.league.harness import CLOCK, OFFERINGS, UNANSWERED, RunningMember, wait_until
from tests.league.scenarios.acts import READY_TIMEOUT_S, Stage, perturbed
from tests.league.scenarios.deploy import deploy
from tests.league.scenarios.hosts import network
from tests.league.scenarios.invariants import violations
from tests.league.scenarios.load import Load, Progress, status_of
from tests.league.scenarios.manifest import AnyPerturbation, FillDisk, Scenario
from tests.soak.machinery import running

NOTICE_S: Final = 3.0
"""How long votes that were under way may still decide after a perturbation began."""
SETTLE_TIMEOUT_S: Final = 90.0
HALTED: Final = frozenset({ConditionCode.QUORUM_MISSING, ConditionCode.NO_BLOCK})
CONDITION_TIMEOUT_S: Final = 60.0


class Recovery(msgspec.Struct, frozen=True):
    """One perturbation, and how long the ledger took."""

    what: str
    lasted_s: float
    ordered_meanwhile: int
    """Events that were ordered while it lasted, after `NOTICE_S`."""
    resumed_after_s: float
    """From its end until a new event was ordered."""
    level_after_s: float
    """From its end until all honest members had it."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of a scenario."""

    name: str
    members: int
    recoveries: tuple[Recovery, ...]
    acknowledged: int
    unanswered: int
    refused: int
    height: int
    failures: tuple[str, ...]
    """What does not hold; a scenario has passed when this is empty."""

    def lines(self) -> Iterator[str]:
        """As text."""
        yield (
            f"{self.name}: {self.members} members, {self.acknowledged} offerings acknowledged, "
            f"{self.unanswered} requests without answer, {self.refused} refused, height {self.height}"
        )
        for one in self.recoveries:
            yield (
                f"  {one.what}: {one.lasted_s:.1f} s, {one.ordered_meanwhile} events ordered meanwhile; "
                f"after it a new event after {one.resumed_after_s:.1f} s, at all after {one.level_after_s:.1f} s"
            )
        for failure in self.failures:
            yield f"  FAILED: {failure}"


class Performance:
    """A scenario that is being carried out."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._load = Load(stage.scenario.creates_per_s)
        self._progress = Progress(tuple(stage.honest))
        self._failures: list[str] = []
        self._recoveries: list[Recovery] = []

    async def run(self) -> Outcome:
        """All of it, from starting the members on."""
        scenario, honest = self._stage.scenario, self._stage.honest
        await self._stage.start(range(1, scenario.members + 1))
        for member in honest:
            await member.wait_until_ready()
        async with running([self._progress.sample(member) for member in honest]):
            async with running([self._load.create_at(member) for member in honest]):
                await wait_until(self._has_ordered(0), "events are ordered", SETTLE_TIMEOUT_S, honest)
                began_s = CLOCK.monotonic()
                async with asyncio.TaskGroup() as group:
                    for one in scenario.perturbations:
                        group.create_task(self._perturb(one, began_s))
                await CLOCK.sleep(max(0.0, began_s + scenario.load_s - CLOCK.monotonic()))
            guilty = frozenset(self._stage.members[number - 1].name for number in scenario.convicted)
            leaving = frozenset(self._stage.members[number - 1].name for number in scenario.leaving)
            judged = [*honest, *self._stage.picked(scenario.newcomers)]
            self._failures += await violations(judged, self._load, guilty, leaving, SETTLE_TIMEOUT_S)
        return Outcome(
            name="",
            members=scenario.members,
            recoveries=tuple(self._recoveries),
            acknowledged=len(self._load.acknowledged),
            unanswered=self._load.unanswered,
            refused=self._load.refused,
            height=max(sample.height for sample in self._progress.last.values()),
            failures=tuple(self._failures),
        )

    async def _perturb(self, one: AnyPerturbation, began_s: float) -> None:
        """One perturbation with what is observed during and after it."""
        await CLOCK.sleep(max(0.0, began_s + one.at_s - CLOCK.monotonic()))
        tag = str(type(one).__struct_config__.tag)
        started_s = CLOCK.monotonic()
        async with perturbed(one, self._stage):
            noticed_s = CLOCK.monotonic() + NOTICE_S
            if one.ledger == "halts":
                await self._expect_halted(one, tag)
            await CLOCK.sleep(max(0.0, started_s + one.for_s - CLOCK.monotonic()))
            ended_s = CLOCK.monotonic()
        ordered = self._progress.growth_between(noticed_s, ended_s) if ended_s > noticed_s else 0
        if one.ledger == "halts" and ordered:
            self._failures.append(f"{tag}: {ordered} events were ordered while the ledger has no quorum")
        if one.ledger == "goes on" and not ordered and one.for_s > 2 * NOTICE_S:
            self._failures.append(f"{tag}: nothing was ordered in {one.for_s:g} s")
        healed_s = CLOCK.monotonic()
        before = self._progress.position
        honest = self._stage.honest
        await wait_until(self._has_ordered(before), f"{tag}: progress", one.resumes_within_s, honest)
        resumed_s = next(each.at_s for each in self._progress.grown if each.position > before)
        await wait_until(self._all_have(before + 1), f"{tag}: all are level", one.resumes_within_s, honest)
        level_s = CLOCK.monotonic()
        self._recoveries.append(
            Recovery(tag, ended_s - started_s, ordered, resumed_s - healed_s, level_s - healed_s)
        )

    def _has_ordered(self, position: int) -> Callable[[], Awaitable[bool]]:
        async def is_ordered() -> bool:
            return self._progress.position > position

        return is_ordered

    def _all_have(self, position: int) -> Callable[[], Awaitable[bool]]:
        async def is_level() -> bool:
            return self._progress.lowest() >= position

        return is_level

    async def _expect_halted(self, one: AnyPerturbation, tag: str) -> None:
        """Without a quorum each member that runs says so, and serves and takes what is created."""
        for number in set(self._stage.scenario.honest) - set(one.victims):
            member = self._stage.members[number - 1]
            await wait_until(
                partial(says_halted, member),
                f"{tag}: {member.name} says that the ledger halts",
                CONDITION_TIMEOUT_S,
                [member],
            )
            if (await member.get(f"{OFFERINGS}?limit=5")).status not in {200, 206}:
                self._failures.append(f"{tag}: {member.name} does not serve its catalogue")
            if (await member.get("/readyz")).status != 200:
                self._failures.append(f"{tag}: {member.name} takes itself from traffic")


async def says_halted(member: RunningMember) -> bool:
    """Whether a member's status and `/readyz` name a condition of a ledger that does not go on."""
    status = await status_of(member)
    try:
        answer = await member.get("/readyz")
    except UNANSWERED:
        return False
    if status is None or not HALTED & set(status["conditions"]):
        return False
    return bool(HALTED & set(answer.json()["conditions"]))


async def run_scenario(name: str, scenario: Scenario, folder: Path) -> Outcome:
    """Carry a scenario out in a new folder.

    Raises:
        NamespacesMissing: when its network cannot be made here.
        DiskMissing: when no small file system can be made here.
        EngineMissing: when no engine with a wrong clock can be made here.
    """
    if any(changed.engine_clock_s for changed in scenario.changed):
        engine_with_clock()
    async with contextlib.AsyncExitStack() as stack:
        places = scenario.members + len(scenario.newcomers)
        net = await stack.enter_async_context(network(scenario.network, places))
        timeout = aiohttp.ClientTimeout(total=READY_TIMEOUT_S)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        deployment = deploy(folder, scenario, net.places, session)
        disks = {
            one.member: stack.enter_context(mounted_disk(deployment.members[one.member - 1].folder))
            for one in scenario.perturbations
            if isinstance(one, FillDisk)
        }
        stage = Stage(scenario, folder, deployment.members, net, disks, deployment.double_key)
        for member in deployment.members:
            stack.push_async_callback(member.stop)
        outcome = await Performance(stage).run()
    return msgspec.structs.replace(outcome, name=name)
