"""One simulated league from its seed to its outcome.

play       the steps, one after the other, with a look at everything after each
quiet      everything is repaired and started; time passes until nothing goes on any more
back       members that lost their stores take back what the others have, and withdraw what nobody has;
           then what came back is changed and deleted
check      everything is compared
once more  each member writes one more entity while nothing is pushed, and everybody's next answer to
           everybody is an error: it has to be everywhere soon, whatever happened before
end        all stop; nothing may be left running
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import structlog

from hansa.business.index_plan import index_plan
from hansa.core.limits import Limits
from hansa.sim.checking.checks import Checks, is_quiet
from hansa.sim.checking.watching import Watch
from hansa.sim.league import SimulatedLeague
from hansa.sim.members.process import models
from hansa.sim.plan import LeaguePlan
from hansa.sim.violation import ViolationError, require
from hansa.sim.world.loop import SimulatedClock, SimulationLoop, run_simulated
from hansa.store.sqlite.database.connection import open_for_writing
from hansa.store.sqlite.store import SqliteStore
from hansa.store.tables import origins

QUIET_MAX_S: Final = 8_000.0
"""Longest time until nothing goes on any more; pauses of an hour are among what is waited for."""
SETTLED_S: Final = 45.0
"""So long nothing may go on: what looks only now and then has looked."""
ONCE_MORE_MAX_S: Final = 30.0
"""Longest time in which one more entity is everywhere, when each member fails once, and none did before."""
ONCE_MORE_SLOT: Final = 88
LOOKS: Final = 4
"""At everything, while time passes."""
LOG_LEVEL_SILENT: Final = 50


class SimulationOutcome(msgspec.Struct, frozen=True):
    """What became of a plan."""

    plan: LeaguePlan
    violation: str | None
    """None: everything held."""
    digest: int
    """Over everything that was sent, with its times."""
    simulated_s: float
    messages: int
    positions: int
    """Events on the ledger."""
    answers: dict[int, int] = {}
    """To clients, by status."""


def run_plan(plan: LeaguePlan, *, has_log: bool = False) -> SimulationOutcome:
    """Simulate a league; what became of it."""
    with _folder() as folder, _logging(has_log=has_log):
        return run_simulated(lambda loop: _outcome(plan, loop, folder))


async def _outcome(plan: LeaguePlan, loop: SimulationLoop, folder: Path) -> SimulationOutcome:
    await _make_template(folder / "template" / "store.db", loop)
    league = SimulatedLeague(plan, loop, folder)
    violation = None
    try:
        await _play(league)
    except ViolationError as error:
        violation = str(error)
    except Exception:  # noqa: BLE001 - whatever it is, it is what became of the plan
        violation = traceback.format_exc()
    await league.end()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left and violation is None:
        violation = f"tasks go on when all have stopped: {sorted(str(task.get_coro()) for task in left)}"
    outcome = SimulationOutcome(
        plan,
        violation,
        league.network.digest,
        round(loop.time(), 6),
        league.network.messages,
        league.ledger.main.application.state.head.position,
        dict(sorted(league.clients.answers.items())),
    )
    league.ledger.close()
    return outcome


async def _play(league: SimulatedLeague) -> None:
    watch = Watch(league)
    league.start()
    for step in league.plan.steps:
        if step.action == "wait":
            await _wait(league, watch, step.number)
        else:
            await league.act(step)
        await watch.look()
        await watch.probe()
    league.heal()
    league.start_all()
    await league.reinstate_all()
    await _quiet(league, watch)
    if restored := await league.take_back():
        await _quiet(league, watch)
        for number in restored:
            await league.clients.write_restored(number)
        await _quiet(league, watch)
    await league.retry_incomplete()
    league.anchor_all()
    await _quiet(league, watch)
    await Checks(league, watch).check()
    await _once_more(league, watch)


async def _wait(league: SimulatedLeague, watch: Watch, seconds: float) -> None:
    """Let time pass, and look at everything now and then."""
    for _ in range(LOOKS):
        await league.clock.sleep(seconds / LOOKS)
        await watch.look()


async def _quiet(league: SimulatedLeague, watch: Watch) -> None:
    """Let time pass until nothing goes on."""
    deadline_s = league.clock.monotonic() + QUIET_MAX_S
    quiet_since_s: float | None = None
    while True:
        await watch.look()
        league.start_all()
        going_on = await is_quiet(league)
        now_s = league.clock.monotonic()
        if going_on is not None:
            quiet_since_s = None
            require(now_s < deadline_s, f"after {QUIET_MAX_S} s {going_on}")
        elif quiet_since_s is None:
            quiet_since_s = now_s
        elif now_s - quiet_since_s >= SETTLED_S:
            break
        await league.clock.sleep(2.0)
    for member in league.members:
        await member.ended()
    await watch.look()


async def _once_more(league: SimulatedLeague, watch: Watch) -> None:
    """Have each member write one more entity while nothing is pushed, and everybody's next answer fails."""
    for place, member in enumerate(league.members):
        league.consume[place] = league.publish[place] = ""
        member.set_policy("consume.cedar", None)
        member.set_policy("publish.cedar", None)
    await _quiet(league, watch)
    names = [member.name for member in league.members]
    league.network.failing_once.update(itertools.permutations(names, 2))
    league.network.is_without_bundles = True
    begun_s = league.clock.monotonic()
    limit_s = QUIET_MAX_S if await _is_any_failing(league) else ONCE_MORE_MAX_S
    for place in range(len(league.members)):
        await league.clients.create(place, ONCE_MORE_SLOT, "bound")
    while True:
        await league.clock.sleep(0.5)
        missing = await _missing(league)
        if not missing:
            break
        text = f"one more entity is not everywhere after {limit_s} s: {missing}"
        require(league.clock.monotonic() - begun_s < limit_s, text)
    league.network.heal()
    await _quiet(league, watch)
    await Checks(league, watch).check()


async def _is_any_failing(league: SimulatedLeague) -> bool:
    """Whether a member has not answered another one since it failed; its next failure costs more time."""
    for member in league.members:
        assert member.process is not None, "all run"
        if any(origin.attempts for origin in await origins.origins(member.process.store)):
            return True
    return False


async def _missing(league: SimulatedLeague) -> list[str]:
    """Members, each with an entity of the last round that it lacks."""
    ids = [league.clients.entities[place, ONCE_MORE_SLOT].id for place in range(len(league.members))]
    lacking = []
    for member in league.members:
        assert member.process is not None, "all run"
        lacking += [
            f"{member.name} lacks {each}" for each in ids if await member.process.store.entity(each) is None
        ]
    return lacking


# -- means -------------------------------------------------------------------------------------------------


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder in memory, where there is one."""
    shared = Path("/dev/shm")  # noqa: S108 - the system's folder in memory
    folder = Path(tempfile.mkdtemp(prefix="hansa-sim-", dir=shared if shared.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _make_template(path: Path, loop: SimulationLoop) -> None:
    """Make a store without content, of which all others are copies."""
    path.parent.mkdir(parents=True)
    clock, plan = SimulatedClock(loop), index_plan(models())
    await SqliteStore(open_for_writing(path, "off"), path, clock, Limits(), plan).close()


@contextmanager
def _logging(*, has_log: bool) -> Iterator[None]:
    """Without a log, unless it is wanted: it would take longer than everything else."""
    if has_log:
        yield
        return
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(LOG_LEVEL_SILENT), cache_logger_on_first_use=False
    )
    try:
        yield
    finally:
        structlog.configure(**before)
