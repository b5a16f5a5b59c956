"""How each perturbation is begun and ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from functools import singledispatch
from pathlib import Path

import msgspec

from hansa.core.access import OPERATOR
from hansa.node.folder import issue_folder_token, write_token
from hansa.node.settings.editing import set_setting
from hansa.node.settings.loading import FILE_NAME
from hansa.pubsub.engine import EngineKey
from hansa.pubsub.ledger.commitments.app_hash import RULESET_4
from tests.golden.environments import TOP
from tests.league.disks import Disk
from tests.league.further_engines import double, stranger
from tests.league.harness import CLOCK, OFFERINGS, RunningMember, wait_until
from tests.league.scenarios.deploy import SETTINGS, TOKEN_EXPIRES_IN_S, UPGRADE_SETTING, start_command
from tests.league.scenarios.hosts import Net
from tests.league.scenarios.load import status_of
from tests.league.scenarios.manifest import (
    AnyPerturbation,
    Command,
    Degrade,
    Double,
    FillDisk,
    Flood,
    Join,
    Kill,
    Partition,
    Pause,
    Restart,
    Scenario,
    Stranger,
    Upgrade,
)

READY_TIMEOUT_S = 120.0


class Stage(msgspec.Struct, frozen=True):
    """What perturbations work on."""

    scenario: Scenario
    folder: Path
    members: tuple[RunningMember, ...]
    net: Net
    disks: dict[int, Disk]
    double_key: EngineKey | None

    def picked(self, numbers: Sequence[int]) -> list[RunningMember]:
        """Members by their numbers."""
        return [self.members[number - 1] for number in numbers]

    @property
    def honest(self) -> list[RunningMember]:
        """The honest members."""
        return self.picked(self.scenario.honest)

    async def start(self, numbers: Sequence[int]) -> None:
        """Start members, without waiting for them."""
        for number in numbers:
            await self.members[number - 1].start(command=start_command(self.scenario, number))


@singledispatch
def perturbed(perturbation: AnyPerturbation, stage: Stage) -> contextlib.AbstractAsyncContextManager[None]:
    """The time of a perturbation: it lasts as long as the block of the context manager."""
    raise AssertionError(f"{type(perturbation).__name__} has no act", stage)


@perturbed.register
@contextlib.asynccontextmanager
async def _kill(perturbation: Kill, stage: Stage) -> AsyncIterator[None]:
    victims = stage.picked(perturbation.members)
    for member in victims:
        assert member.process is not None
        member.process.kill()
    await asyncio.gather(*(member.process.wait() for member in victims if member.process))
    yield
    await stage.start(perturbation.members)


@perturbed.register
@contextlib.asynccontextmanager
async def _restart(perturbation: Restart, stage: Stage) -> AsyncIterator[None]:
    await asyncio.gather(*(member.stop() for member in stage.picked(perturbation.members)))
    yield
    await stage.start(perturbation.members)


@perturbed.register
@contextlib.asynccontextmanager
async def _pause(perturbation: Pause, stage: Stage) -> AsyncIterator[None]:
    pids = [
        await member.pid(role) for member in stage.picked(perturbation.members) for role in perturbation.roles
    ]
    assert all(pids), "what is paused runs"
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # its watch may have ended it
                os.kill(pid, signal.SIGCONT)


@perturbed.register
@contextlib.asynccontextmanager
async def _degrade(perturbation: Degrade, stage: Stage) -> AsyncIterator[None]:
    await stage.net.degrade(perturbation.members, perturbation.loss, perturbation.delay_ms)
    yield
    await stage.net.degrade(perturbation.members, 0, 0)


@perturbed.register
@contextlib.asynccontextmanager
async def _partition(perturbation: Partition, stage: Stage) -> AsyncIterator[None]:
    await stage.net.partition(perturbation.groups)
    yield
    await stage.net.partition([])


@perturbed.register
@contextlib.asynccontextmanager
async def _fill_disk(perturbation: FillDisk, stage: Stage) -> AsyncIterator[None]:
    disk = stage.disks[perturbation.member]
    disk.fill()
    yield
    disk.free()


@perturbed.register
@contextlib.asynccontextmanager
async def _double(perturbation: Double, stage: Stage) -> AsyncIterator[None]:
    assert stage.double_key is not None
    guilty = stage.members[perturbation.member - 1]

    async def is_convicted() -> bool:
        status = await stage.honest[0].status()
        return guilty.name in {one["name"] for one in status["misbehavior"]}

    async with double(stage.folder / "double", guilty, stage.double_key, stage.honest):
        await wait_until(is_convicted, "the double is convicted", READY_TIMEOUT_S, stage.honest)
        yield


@perturbed.register
@contextlib.asynccontextmanager
async def _stranger(perturbation: Stranger, stage: Stage) -> AsyncIterator[None]:
    del perturbation
    async with stranger(stage.folder / "stranger", stage.honest) as engine:
        await engine.wait_until_stopped(1, READY_TIMEOUT_S)
        yield


@perturbed.register
@contextlib.asynccontextmanager
async def _flood(perturbation: Flood, stage: Stage) -> AsyncIterator[None]:
    folder = stage.members[perturbation.member - 1].folder
    victims = [member.url for member in stage.honest]
    async with contextlib.AsyncExitStack() as stack:
        for number, way in enumerate(perturbation.ways):
            command = ("-m", "tests.soak.attacker", way, str(folder), str(number), *victims)
            process = await asyncio.create_subprocess_exec(
                sys.executable, *command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
            stack.push_async_callback(_end, process)
        yield


@perturbed.register
@contextlib.asynccontextmanager
async def _upgrade(perturbation: Upgrade, stage: Stage) -> AsyncIterator[None]:
    late = stage.members[perturbation.late - 1]
    others = [member for member in stage.honest if member is not late]

    async def have_changed() -> bool:
        reports = [await status_of(member) for member in others]
        return all(report is not None and report["ruleset"] == RULESET_4 for report in reports)

    async def says_so() -> bool:
        report = await status_of(late)
        return report is not None and "upgrade-needed" in report["conditions"]

    await wait_until(have_changed, "the rules have changed", READY_TIMEOUT_S, others)
    await wait_until(says_so, f"{late.name} says what it needs", READY_TIMEOUT_S, [late])
    assert (await late.get(f"{OFFERINGS}?limit=5")).status in {200, 206}, "it serves its catalogue"
    children = (await late.status())["children"]
    assert {child["name"]: child["starts"] for child in children}["ledger"] == 1, "nothing is started again"
    yield
    await late.stop()
    settings = late.folder / FILE_NAME
    settings.write_text(f"{UPGRADE_SETTING} = {perturbation.height}\n{settings.read_text()}")
    await stage.start([perturbation.late])


@perturbed.register
@contextlib.asynccontextmanager
async def _command(perturbation: Command, stage: Stage) -> AsyncIterator[None]:
    member = stage.members[perturbation.member - 1]
    await _hansa(*(one.format(folder=member.folder, port=member.port) for one in perturbation.arguments))
    yield


@perturbed.register
@contextlib.asynccontextmanager
async def _join(perturbation: Join, stage: Stage) -> AsyncIterator[None]:
    newcomer, place = stage.members[perturbation.member - 1], stage.net.places[perturbation.member - 1]
    sponsors = [member for member in stage.honest if await member.is_ready()]
    assert len(sponsors) >= 2, "two members are asked"
    folder = str(newcomer.folder)
    await _hansa(
        *("join", folder, "--name", newcomer.name, "--endpoint", newcomer.url),
        *("--from", sponsors[0].url, "--from", sponsors[1].url),
        *("--p2p-host", place.host, "--p2p-port", str(place.p2p_port), "--listen-host", place.host),
        launcher=place.launcher,
    )
    for name, value in SETTINGS.items():
        set_setting(newcomer.folder / FILE_NAME, name, value)
    write_token(
        newcomer.folder,
        issue_folder_token(newcomer.folder, "demo", [OPERATOR], TOKEN_EXPIRES_IN_S, CLOCK, os.urandom),
    )
    candidacy, power = str(newcomer.folder / "candidacy.jws"), str(perturbation.power)
    sponsor = str(sponsors[0].folder)
    proposal = (await _hansa("league", "propose", sponsor, "admit", candidacy, "--power", power)).strip()
    votes = [_hansa("league", "vote", str(one.folder), proposal, "yes") for one in sponsors]
    await asyncio.gather(*votes, return_exceptions=True)  # what comes after the decision is refused
    await stage.start([perturbation.member])
    await newcomer.wait_until_ready()

    async def votes_and_follows() -> bool:
        lag = (await newcomer.status())["lag"]
        powers = {one["name"]: one["power"] for one in (await sponsors[0].status())["powers"]}
        return lag is not None and lag < 10 and powers.get(newcomer.name) == perturbation.power

    await wait_until(votes_and_follows, f"{newcomer.name} has joined", READY_TIMEOUT_S, stage.honest)
    yield


async def _hansa(*arguments: str, launcher: Sequence[str] = ()) -> str:
    """What a command of an operator writes, which succeeds."""
    process = await asyncio.create_subprocess_exec(
        *(*launcher, sys.executable, "-m", "hansa.cli", *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(READY_TIMEOUT_S):
        written, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    return written.decode()


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.returncode is None, "the attack goes on until it is ended"
    process.terminate()
    await process.wait()
