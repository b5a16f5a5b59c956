"""A soak: a league of four real marketplaces under all attacks at once, measured until its end.

Three members are honest. They take creates and changes from their users all the time; two of them have their
processes killed, and one of these is restored from a backup. The fourth has another ledger application, which
proposes what no block may hold and hands everything on; floods, forgeries and thefts come from its keys and
its engine, and in the end its validator signs twice. An engine that is no member's knocks at all doors, and
somebody with tokens attacks one member over HTTP. Two members run on another version of Python than the
others.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import math
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from hansa.cli.catalogue.comparison import CatalogueComparison, compare
from hansa.cli.catalogue.listing import entries
from hansa.cli.client import Client
from hansa.core.errors import HansaError
from hansa.core.identifiers import entity_key
from hansa.core.limits import Limits
from hansa.node.folder import CARD, LEDGER, LEDGER_STATE
from hansa.node.folder.card import read_card
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.engine import RPC_SOCKET, address_of
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger_records import EventFilter
from tests.golden.environments import TOP
from tests.league.further_engines import double, register_second_engine, stranger
from tests.league.harness import (
    CLOCK,
    OFFERINGS,
    League,
    RunningMember,
    engine_rpc,
    league,
    wait_until,
)
from tests.soak.campaign import attacking, issue_tokens
from tests.soak.machinery import hansa, has_command, interpreters, is_replaced, is_signing, running, status_of
from tests.soak.measurements import (
    HashWatch,
    OthersWork,
    Processes,
    SoakReport,
    folder_bytes,
    log_row,
    quantiles,
)
from tests.soak.schedule import HANG_S, Act, schedule

HOSTILE: Final = 3
"""Place of the member that attacks."""
VICTIMS: Final = (1, 2)
"""Honest members whose processes are killed; the first one's memory is looked at from beginning to end."""
PARAMS: Final = LedgerParams(issuer_events_per_s=50, issuer_bytes_per_s=50_000, issuer_burst_s=10)
"""A league sets its quotas by what its members' machines can do; here they all share one."""
SETTINGS: Final = {"observe_blocks_min": 10, "observe_min_s": 5.0, "cache_max_bytes": 33_554_432}
"""A soak of two minutes has no time for the caution of real leagues, nor half an hour for large caches to
fill."""
CREATE_PAUSE_S: Final = 0.25
"""Between two requests of the users of one member, on average."""
SAMPLE_PAUSE_S: Final = 1.0
LAG_PAUSE_S: Final = 0.05
RECOVERY_TIMEOUT_S: Final = 60.0
REPLAY_SPEED: Final = 4.0
"""A restored member, or a new engine, executes all blocks anew, at so many times the speed at which the
league made them."""
CATCH_UP_TIMEOUT_S: Final = 120.0
SIGNING_TIMEOUT_S: Final = 120.0
CONVICTION_TIMEOUT_S: Final = 90.0
"""From the moment when the double has all blocks."""
SETTLED_AFTER_S: Final = 5.0
"""After it is ready again, a member publishes what has piled up."""
AFTER_ACTS_S: Final = 15.0
"""How long load and attacks go on after the last act."""
ACTS_TIMEOUT_S: Final = 240.0
"""How much longer than planned a soak may take."""
CHANGED_SHARE: Final = 0.15
CHOSEN_SHARE: Final = 0.2
KINDS_OF_ATTACK: Final = ("flood", "forge", "steal")
LATEST_MAX: Final = 200
"""How many of the slowest creates a report lists."""
BACKUP_LEAD_S: Final = 2.0
"""How old the backup is that a member is restored from."""


class Soak:
    """One soak.

    Args:
        made: The league; not started yet.
        folder: For everything else.
        seed: Of the schedule and of all that is drawn.
        duration_s: Of the load.
    """

    def __init__(self, made: League, folder: Path, seed: int, duration_s: float) -> None:
        self.league = made
        self.folder = folder
        self.seed, self.duration_s = seed, duration_s
        self.acts = schedule(seed, duration_s, VICTIMS, HOSTILE)
        self.honest = League(made.members[:HOSTILE])
        self.dids = {member: read_card(member.folder / CARD).member.did for member in made.members}
        self.done: list[str] = []
        self.attacks: Counter[str] = Counter()
        self.http_answers: dict[str, int] = {}
        self.acknowledged: dict[str, str] = {}
        """Ledger keys of acknowledged creates, with their identifiers."""
        self.unanswered = 0
        self.latencies_s: list[tuple[float, float]] = []
        """When they were sent, and how long they took: creates while the hostile member alone was faulty.
        That much the protocol promises to bear."""
        self.delayed_s: list[float] = []
        """Of those while an honest member's processes were killed, stopped or restored as well."""
        self.processes, self.hashes = Processes(), HashWatch()
        self.stall_s = 0.0
        self._sent: dict[str, float] = {}
        """When the creates were sent that are not committed yet, by ledger key."""
        self._seen_early: dict[str, float] = {}
        """When events were seen whose create was not answered yet."""
        self._paused: set[RunningMember] = set()
        self._disturbed_s: list[tuple[float, float]] = []
        """From when to when an honest member was disturbed."""
        self._lags_s: list[float] = []
        self._others = OthersWork()
        self._is_over = asyncio.Event()
        """Whether all acts are done."""
        self._node_key = register_second_engine(made.members, made[HOSTILE], PARAMS)
        self._pythons = interpreters(len(made.members))

    # -- course -----------------------------------------------------------------------------------------------

    async def run(self) -> SoakReport:
        """Start everything, let it run, and report."""
        for member in self.league.members:
            await self._start(member)
        for member in self.league.members:
            await member.wait_until_ready()
        before = {member: folder_bytes(member.folder) for member in self.league.members}
        began_s = CLOCK.monotonic()
        async with running([self._observe(), self._sample(), self._measure_lag()]):
            await self._attacked(began_s)
            used_s = CLOCK.monotonic() - began_s
            comparison, missing = await self._compare()
        return await self._report((began_s, used_s), before, comparison, missing)

    async def _attacked(self, began_s: float) -> None:
        """The time of the load and of the attacks."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._recover_all)
            await stack.enter_async_context(stranger(self.folder / "stranger", self.league.members))
            for number, kind in enumerate(KINDS_OF_ATTACK):
                await stack.enter_async_context(self._attacker(kind, self.seed + number))
            target = self.honest[VICTIMS[0]]
            tokens = issue_tokens(target, self.folder / "tokens.json")
            await stack.enter_async_context(attacking("mixed", target, tokens, self.seed, self.http_answers))
            users = map(self._load, self.honest.members)
            await stack.enter_async_context(running([*users, self._disturb(stack, began_s)]))
            await CLOCK.sleep(self.duration_s)
            async with asyncio.timeout(ACTS_TIMEOUT_S):
                await self._is_over.wait()

    async def _start(self, member: RunningMember) -> None:
        at = self.league.members.index(member)
        product = ("-m", "hansa.cli", "serve")
        changed = ("-m", "tests.league.serve_with_ledger", "proposer")
        environment = {"PYTHONPATH": os.pathsep.join((str(TOP), str(TOP / "src")))}
        python = str(self._pythons[at][1])
        await member.start(environment, (python, *(changed if at == HOSTILE else product)))

    @contextlib.asynccontextmanager
    async def _attacker(self, kind: str, seed: int) -> AsyncIterator[None]:
        victims = [member.url for member in self.honest.members]
        command = ("-m", "tests.soak.attacker", kind, str(self.league[HOSTILE].folder), str(seed), *victims)
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        try:
            yield
        finally:
            process.terminate()
            said, _ = await process.communicate()
        assert process.returncode == 0, f"the attacker {kind} ended with {process.returncode}"
        self.attacks.update(msgspec.json.decode(said, type=dict[str, int]))

    # -- users ------------------------------------------------------------------------------------------------

    async def _load(self, member: RunningMember) -> None:
        """Creates and changes at a member, one after the other."""
        draw = random.Random(f"{self.seed} {member.name}")
        own: list[str] = []
        while True:
            await CLOCK.sleep(draw.expovariate(1 / CREATE_PAUSE_S))
            if member in self._paused:
                continue
            try:
                if own and draw.random() < CHANGED_SHARE:
                    path = f"{OFFERINGS}/{draw.choice(own)}"
                    await member.request("PATCH", path, {"name": f"{draw.random()}"}, with_token=True)
                else:
                    own.append(await self._create(member, draw))
            except (aiohttp.ClientError, TimeoutError, AssertionError):
                self.unanswered += 1
                await CLOCK.sleep(CREATE_PAUSE_S)

    async def _create(self, member: RunningMember, draw: random.Random) -> str:
        chosen = {"id": f"urn:soak:{draw.getrandbits(64):x}"} if draw.random() < CHOSEN_SHARE else {}
        sent_at_s = CLOCK.monotonic()
        created = await member.create_offering(name=f"of {member.name}", **chosen)
        key = entity_key(self.dids[member], created)
        self.acknowledged[key] = created
        seen_at_s = self._seen_early.pop(key, None)
        if seen_at_s is None:
            self._sent[key] = sent_at_s
        else:
            self._note_latency(sent_at_s, seen_at_s)
        return created

    def _note_latency(self, sent_at_s: float, seen_at_s: float) -> None:
        is_delayed = any(from_s < seen_at_s and sent_at_s < to_s for from_s, to_s in self._disturbed_s)
        if is_delayed:
            self.delayed_s.append(seen_at_s - sent_at_s)
        else:
            self.latencies_s.append((sent_at_s, seen_at_s - sent_at_s))

    def _latest(self, began_s: float) -> tuple[tuple[float, float], ...]:
        slowest = heapq.nlargest(LATEST_MAX, self.latencies_s, key=itemgetter(1))
        return tuple(
            sorted((round(sent_at_s - began_s, 1), round(took_s, 2)) for sent_at_s, took_s in slowest)
        )

    # -- watching ---------------------------------------------------------------------------------------------

    async def _observe(self) -> None:
        """Note when honest events are committed at a member that nobody disturbs, as its own bus sees it."""
        ledger = self.honest[0].folder / LEDGER
        issuers = tuple(self.dids[member] for member in self.honest.members)
        bus = CometBftBus(ledger / RPC_SOCKET, self.honest[0].folder / LEDGER_STATE, CLOCK, Limits())
        try:
            async for page in bus.follow(0, EventFilter(issuers=issuers)):
                for committed in page.events:
                    self._committed(committed.event.entity.key)
        finally:
            await bus.close()

    def _committed(self, key: str) -> None:
        sent_at_s = self._sent.pop(key, None)
        if sent_at_s is not None:
            self._note_latency(sent_at_s, CLOCK.monotonic())
        elif key not in self.acknowledged:
            self._seen_early[key] = CLOCK.monotonic()

    async def _sample(self) -> None:
        """Sample memory, processors, hashes and the progress of the ledger."""
        height, changed_at_s = -1, CLOCK.monotonic()
        while True:
            self._others.sample()
            for member in self.league.members:
                status = await status_of(member)
                if status is None:
                    continue
                if status["height"] is not None:
                    self.hashes.note(member.name, status["height"], status["app_hash"])
                self._sample_processes(member, status)
                if member is self.honest[0]:
                    now_s = CLOCK.monotonic()
                    if status["height"] != height or not self._sent:
                        height, changed_at_s = status["height"], now_s
                    self.stall_s = max(self.stall_s, now_s - changed_at_s)
            await CLOCK.sleep(SAMPLE_PAUSE_S)

    async def _measure_lag(self) -> None:
        """Measure how late this process gets its turn."""
        while True:
            began_s = CLOCK.monotonic()
            await CLOCK.sleep(LAG_PAUSE_S)
            self._lags_s.append(CLOCK.monotonic() - began_s - LAG_PAUSE_S)

    def _sample_processes(self, member: RunningMember, status: Any) -> None:
        if member.process is not None:
            self.processes.sample(member.name, "serve", member.process.pid)
        for child in status["children"]:
            if child["pid"]:
                self.processes.sample(member.name, child["name"], child["pid"])

    # -- disturbing -------------------------------------------------------------------------------------------

    async def _disturb(self, stack: contextlib.AsyncExitStack, began_s: float) -> None:
        """Do what the schedule says; each act ends when its member is ready again."""
        for act in self.acts:
            await CLOCK.sleep(max(0.0, began_s + act.at_s - CLOCK.monotonic()))
            member = self.league[act.member]
            if act.kind == "double":
                engine = double(self.folder / "double", member, self._node_key, self.honest.members)
                await stack.enter_async_context(engine)
                timeout_s = CONVICTION_TIMEOUT_S + self.duration_s / REPLAY_SPEED
                await wait_until(
                    self._is_convicted, "the double is convicted", timeout_s, self.honest.members
                )
                self.done.append(str(act))
                continue
            started_s = CLOCK.monotonic()
            is_honest = member in self.honest.members
            if is_honest:
                self._disturbed_s.append((started_s, math.inf))
            is_done = await self._do(act, member)
            await self._wait_until_recovered(member)
            if is_honest:
                self._disturbed_s[-1] = (started_s, CLOCK.monotonic() + SETTLED_AFTER_S)
            used_s = CLOCK.monotonic() - started_s
            self.done.append(f"{act} (ready after {used_s:.1f} s)" if is_done else f"{act} (left out)")
        await CLOCK.sleep(AFTER_ACTS_S)
        self._is_over.set()

    async def _do(self, act: Act, member: RunningMember) -> bool:
        if act.kind == "restore":
            return await self._restore(member)
        if act.kind == "stop":
            await member.stop()
            await self._start(member)
            return True
        pid = member.process.pid if act.role == "serve" and member.process else 0
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            pid = pid or await member.pid(act.role)
        if not pid:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL if act.kind == "kill" else signal.SIGSTOP)
            if act.kind == "hang":
                await CLOCK.sleep(HANG_S)
                os.kill(pid, signal.SIGCONT)
        if act.kind == "kill" and act.role == "serve":
            assert member.process is not None
            await member.process.wait()
            await self._start(member)
        elif act.kind == "kill":
            await wait_until(
                partial(is_replaced, member, act.role, pid),
                f"{member.name} has another {act.role}",
                RECOVERY_TIMEOUT_S,
                self.league.members,
            )
        return True

    async def _restore(self, member: RunningMember) -> bool:
        """Restore a member from a backup that was made while it ran."""
        if not has_command("backup"):
            return False
        file = self.folder / f"{member.name}.backup"
        self._paused.add(member)
        try:
            await CLOCK.sleep(1.0)
            await hansa("backup", str(member.folder), str(file))
            await CLOCK.sleep(BACKUP_LEAD_S)
            assert member.process is not None
            member.process.kill()
            await member.process.wait()
            member.folder.rename(self.folder / f"{member.name}.lost")
            await hansa("restore", str(file), str(member.folder))
            await self._start(member)
            await self._wait_until_recovered(member, RECOVERY_TIMEOUT_S + self.duration_s / REPLAY_SPEED)
        finally:
            self._paused.discard(member)
        # Until it signs, the league can do without nobody else.
        await wait_until(
            partial(is_signing, member), f"{member.name} signs again", SIGNING_TIMEOUT_S, self.league.members
        )
        return True

    async def _wait_until_recovered(
        self, member: RunningMember, timeout_s: float = RECOVERY_TIMEOUT_S
    ) -> None:
        async def is_ready() -> bool:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                return await member.is_ready()
            return False

        await wait_until(is_ready, f"{member.name} is ready again", timeout_s, self.league.members)

    async def _recover_all(self) -> None:
        """Wait until all are ready again, after an act that the end interrupted."""
        for member in self.league.members:
            await self._wait_until_recovered(member)

    # -- the end ----------------------------------------------------------------------------------------------

    async def _compare(self) -> tuple[CatalogueComparison, tuple[str, ...]]:
        """The differences between the members' catalogues, and acknowledged entities that some do not have.

        Waits until there are none, or for a while.
        """
        deadline_s = CLOCK.monotonic() + CATCH_UP_TIMEOUT_S
        while True:
            try:
                comparison = await compare([member.url for member in self.league.members])
                missing = await self._missing()
            except HansaError:
                if CLOCK.monotonic() >= deadline_s:
                    raise
            else:
                is_same = not comparison.count and not missing and not self._sent
                if is_same or CLOCK.monotonic() >= deadline_s:
                    return comparison, missing
            await CLOCK.sleep(SAMPLE_PAUSE_S)

    async def _missing(self) -> tuple[str, ...]:
        expected = set(self.acknowledged.values())
        missing: set[str] = set()
        for member in self.league.members:
            async with Client(member.url, connections_max=2) as client:
                missing |= expected - {entry.id async for entry in entries(client, ())}
        return tuple(sorted(missing))

    async def _report(
        self,
        began_and_used_s: tuple[float, float],
        before: dict[RunningMember, int],
        comparison: CatalogueComparison,
        missing: tuple[str, ...],
    ) -> SoakReport:
        began_s, used_s = began_and_used_s
        status = await self.honest[0].status()
        lost = [used_s] * len(self._sent)
        return SoakReport(
            seed=self.seed,
            duration_s=round(used_s, 1),
            pythons=tuple(version for version, _ in self._pythons),
            acts=tuple(self.done),
            attacks=dict(sorted(self.attacks.items()))
            | {f"HTTP: {answer}": count for answer, count in self.http_answers.items()},
            acknowledged=len(self.acknowledged),
            unanswered=self.unanswered,
            latencies_s=quantiles([*(took_s for _, took_s in self.latencies_s), *lost]),
            latest=self._latest(began_s),
            judged=len(self.latencies_s),
            delayed_s=quantiles(self.delayed_s),
            missing=missing,
            differences=comparison.count,
            hashes_compared=self.hashes.compared,
            hash_differences=tuple(self.hashes.differences()),
            guilty=self.league[HOSTILE].name,
            convicted=await self._convicted(),
            blocks=status["height"],
            positions=status["position"],
            processes=tuple(self.processes.rows()),
            logs=tuple(log_row(member.name, member.log) for member in self.league.members),
            disk_bytes_per_hour={
                member.name: round((folder_bytes(member.folder) - size) * 3600 / used_s)
                for member, size in before.items()
            },
            lag_s=quantiles(self._lags_s),
            others=self._others.share,
            stalls_s=round(self.stall_s, 1),
        )

    async def _is_convicted(self) -> bool:
        return bool(await self._convicted())

    async def _convicted(self) -> tuple[str, ...]:
        """Members whose validator is no part of the set any more."""
        validators = (await engine_rpc(self.honest[0], "validators"))["validators"]
        present = {one["address"] for one in validators}
        cards = [read_card(member.folder / CARD) for member in self.league.members]
        return tuple(
            card.member.name
            for card in cards
            if address_of(bytes.fromhex(card.member.validator_key)).hex().upper() not in present
        )


async def run_soak(folder: Path, seed: int, duration_s: float) -> SoakReport:
    """A soak in a folder."""
    async with league(folder / "league", HOSTILE + 1, dict(SETTINGS), is_started=False) as made:
        return await Soak(made, folder, seed, duration_s).run()
