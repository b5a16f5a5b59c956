"""A simulated league: its members, what is between them, and everything that can be done to it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final

from hansa.core.governance.changes import VotedStatus
from hansa.core.limits import Limits
from hansa.sim.members.governance import set_status
from hansa.sim.members.identity import NAMES, identity
from hansa.sim.members.liar import Liar
from hansa.sim.members.member import SimulatedMember
from hansa.sim.members.process import Process
from hansa.sim.oracle import CONDITIONS
from hansa.sim.plan import LeaguePlan, Step
from hansa.sim.workload import PUBLIC_FIELDS, LeagueClients
from hansa.sim.world.ledger import SimulatedLedger
from hansa.sim.world.loop import SimulatedClock, SimulationLoop
from hansa.sim.world.network import SimulatedNetwork

ROOMY: Final = Limits(audit_anchor_interval_s=1.0)
"""Anchors are made when a plan says so; the time between them never stands against that."""
RETAINED_MAX: Final = 40
"""Announced versions that a member with tight limits retains beside its entities."""
TIGHT: Final = Limits(
    audit_anchor_interval_s=1.0,
    events_page_max=3,
    events_per_transaction_max=3,
    retrieval_entities_max=2,
    retrieval_size_max_bytes=2_500_000,
    announced_retained_max=RETAINED_MAX,
    publish_in_flight_max=2,
)
BURST_PAUSES_S: Final = (0.0, 0.002, 0.02, 0.1)
INCOMPLETE_MAX: Final = 1000
DOWN_S: Final = (0.05, 3.0)
"""How long the operating system takes to start a process again that has crashed."""


class SimulatedLeague:
    """One league, as a plan says.

    Args:
        plan: Who is in it.
        loop: Its time.
        folder: For the stores; it has `template/store.db`, a store without content.
    """

    def __init__(self, plan: LeaguePlan, loop: SimulationLoop, folder: Path) -> None:
        self.plan = plan
        self._loop = loop
        self.unhandled = loop.unhandled
        self.clock = SimulatedClock(loop)
        drawn = self._drawn("league")
        self.drawn = drawn
        limits = TIGHT if plan.is_tight else ROOMY
        ones = [identity(name, self._drawn(name)) for name in NAMES[: plan.members]]
        self.identities = tuple(ones)
        known = tuple(one.member for one in ones)
        lagging = {ones[step.member].did for step in plan.steps if step.action == "lag"}
        self.network = SimulatedNetwork(self.clock, self._drawn("network"))
        self.ledger = SimulatedLedger(
            *(known, loop, self.clock, limits, self._drawn("ledger"), sorted(lagging))
        )
        self.members = tuple(
            SimulatedMember(
                *(one, folder, folder / "template" / "store.db", self.network, self.ledger, known),
                *(self.clock, self._drawn(f"entropy of {one.name}"), limits),
            )
            for one in ones[: plan.honest]
        )
        self.liar: Liar | None = None
        if plan.is_lying:
            self.liar = Liar(
                *(ones[-1], tuple(ones[:-1]), self.network, self.ledger, self.clock),
                *(self._drawn("liar"), limits),
            )
        self.clients = LeagueClients(self.members, self.clock, self._drawn("clients"))
        self.consume = dict.fromkeys(range(plan.honest), "")
        """Names of the conditions of each member."""
        self.publish = dict.fromkeys(range(plan.honest), "")
        self.restored: set[int] = set()
        """Members whose stores were replaced by older ones."""
        self.lacking: set[int] = set()
        """Those of them whose operators have not had them take back what they lost."""
        self.suspended: set[int] = set()
        """Members that may publish nothing."""
        self._background: set[asyncio.Task[None]] = set()

    def _drawn(self, whose: str) -> random.Random:
        return random.Random(f"{self.plan.seed} {whose}")  # noqa: S311 - to be repeated, not to be secret

    def start(self) -> None:
        """Start all members that are not late."""
        for number, member in enumerate(self.members):
            if number not in self.plan.late:
                member.start()

    @property
    def is_busy(self) -> bool:
        """Whether something that was begun goes on."""
        return any(not task.done() for task in self._background)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._background.add(asyncio.get_running_loop().create_task(work))

    def raise_failures(self) -> None:
        """Raise what anything that was begun has raised."""
        for task in [each for each in self._background if each.done()]:
            self._background.discard(task)
            task.result()

    async def end(self) -> None:
        """Stop everything; what is left of the loop's tasks afterwards has leaked."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for member in self.members:
            await member.stop()
            await member.ended()
        if self.liar is not None:
            await self.liar.end()

    # -- steps ---------------------------------------------------------------------------------------------

    async def act(self, step: Step) -> None:
        """Carry out a step."""
        if await self._write(step) or await self._operate(step) or await self._deceive(step):
            return
        self._disturb(step)

    async def _write(self, step: Step) -> bool:
        clients, place = self.clients, (step.member, step.slot)
        match step.action:
            case "create":
                await clients.create(*place, step.text)
            case "update":
                await clients.change(*place, {})
            case "delete":
                await clients.delete(*place)
            case "hide":
                await clients.change(*place, {"visibleTo": ["here"]})
            case "show":
                await clients.change(*place, PUBLIC_FIELDS)
            case "choose":
                await clients.choose(*place, self._chosen(step))
            case "order":
                await clients.order(*place, self._chosen(step))
            case "status":
                await clients.change(*place, {"lifecycleStatus": step.text})
            case "burst":
                self._begin(self._burst(*place, int(step.number)))
            case "forward":
                for n in range(max(1, int(step.number) // 3)):
                    through = (step.member + 1 + n) % len(self.members)
                    self._begin(clients.forward(through, *place))
            case "repeat":
                self._begin(clients.repeat(step.member, int(step.number) // 2))
            case "contest":
                self._begin(clients.contest((step.member + 1) % len(self.members), step.slot))
                await clients.contest(*place)
            case "chain":
                await clients.chain(step.member)
            case "live shortly":
                self._begin(clients.live_shortly(step.member, step.number))
            case _:
                return False
        return True

    def _chosen(self, step: Step) -> tuple[int, ...]:
        """The members that a step names."""
        return tuple(n for n in range(len(self.members)) if int(step.number) >> n & 1)

    async def _burst(self, owner: int, slot: int, count: int) -> None:
        for _ in range(count):
            await self.clients.change(owner, slot, {})
            await self.clock.sleep(self.drawn.choice(BURST_PAUSES_S))

    async def _operate(self, step: Step) -> bool:
        member = self.members[step.member]
        match step.action:
            case "consume":
                self.consume[step.member] = step.text
                member.set_policy("consume.cedar", CONDITIONS[step.text][0] or None)
            case "consume shortly":
                await self._consume_shortly(step)
            case "publish":
                self.publish[step.member] = step.text
                member.set_policy("publish.cedar", CONDITIONS[step.text][0] or None)
            case "resync":
                self._begin(self.clients.resync(step.member))
            case "retry":
                self._begin(self.clients.retry(step.member))
            case "anchor":
                member.anchor()
            case "stop":
                await member.stop()
            case "start":
                member.start()
            case "suspend":
                await self._set_status(step.member, "suspended")
            case "back up":
                member.back_up()
            case "restore":
                member.restore()
                self.restored.add(step.member)
                self.lacking.add(step.member)
                self.clients.forget(step.member)
                self._loop.call_later(self.drawn.uniform(*DOWN_S), member.start)
            case _:
                return False
        return True

    async def _set_status(self, number: int, status: VotedStatus) -> None:
        """Let all vote on whether a member may publish; only where nobody lies, and everything is well."""
        if self.liar is None and self.ledger.is_well and all(one.process is not None for one in self.members):
            await set_status(
                *(self.members, self.members[number].did, status, self.clock, self.drawn.randbytes),
            )
            (self.suspended.add if status == "suspended" else self.suspended.discard)(number)

    async def reinstate_all(self) -> None:
        """Let every member publish again; all run, and everything is well."""
        for number in sorted(self.suspended):
            await self._set_status(number, "active")

    async def _consume_shortly(self, step: Step) -> None:
        """Let other conditions hold for some iterations of the loop."""
        member = self.members[step.member]
        member.set_policy("consume.cedar", CONDITIONS[step.text][0] or None)
        for _ in range(int(step.number)):
            await asyncio.sleep(0)
        member.set_policy("consume.cedar", CONDITIONS[self.consume[step.member]][0] or None)

    async def _deceive(self, step: Step) -> bool:
        liar = self.liar
        if step.action not in {"lie", "forge", "steal", "push", "pry", "flood"}:
            return False
        if liar is None:
            return True
        match step.action:
            case "lie":
                liar.lie = step.text
            case "forge":
                self._begin(liar.forge(step.text))
            case "steal":
                self._begin(liar.steal())
            case "push":
                self._begin(liar.push(step.text))
            case "pry":
                self._begin(liar.pry())
            case _:
                self._begin(liar.flood(int(step.number)))
        return True

    def _disturb(self, step: Step) -> None:
        member, network, ledger = self.members[step.member], self.network, self.ledger
        other = self.members[
            (step.member + 1 + step.slot % max(1, len(self.members) - 1)) % len(self.members)
        ]
        match step.action:
            case "crash":
                self._crash(member, step.text, int(step.number))
            case "part":
                network.parted.add(frozenset((member.name, other.name)))
            case "rejoin":
                network.parted.clear()
            case "slow":
                network.slow_s[member.name] = step.number
            case "lossy":
                network.loss, network.duplication = step.number, step.number
            case "proxy":
                network.proxies[member.name] = step.text
            case "engine":
                change = ledger.disconnected.add if step.text == "down" else ledger.disconnected.discard
                change(member.did)
            case "blocks":
                ledger.block_s = step.number
            case "submissions":
                ledger.loss = ledger.unknown = step.number
            case "lag":
                ledger.lag(member.did, step.number)
            case "disk":
                if member.process is not None:
                    member.process.set_disk_room(int(step.number))
            case "clock":
                member.clock.set_offset(step.number)
            case "heal":
                self.heal()
            case _:
                raise AssertionError(step)

    def _crash(self, member: SimulatedMember, moment: str, count: int) -> None:
        """End a member's process at a moment, and have it started again.

        Time stands still while the loop turns. So what happens later can only be interrupted by a crash that
        waits for it.
        """
        process = member.process
        if process is None:
            return
        crash = partial(self._crash_after, member, process, count)
        match moment:
            case "commit":
                process.after_commits(count, partial(self._crash_after, member, process, 0))
            case "block":
                self.ledger.copy_of(member.did).after_block.append(crash)
            case "message":
                self.network.after_arrival(member.name, crash)
            case _:
                crash()

    def _crash_after(self, member: SimulatedMember, process: Process, passes: int) -> None:
        """End a process after so many turns of the loop."""
        if member.process is not process:
            return
        if passes > 0:
            self._loop.call_soon(self._crash_after, member, process, passes - 1)
            return
        member.crash()
        self._loop.call_later(self.drawn.uniform(*DOWN_S), member.start)

    def heal(self) -> None:
        """Let network, ledger, clocks and disks be well from now on."""
        self.network.heal()
        self.ledger.heal()
        for member in self.members:
            member.clock.set_offset(0.0)
            if member.process is not None:
                member.process.set_disk_room(None)
                member.process.after_commits(0, _nothing)
        if self.liar is not None:
            self.liar.lie = ""

    async def take_back(self) -> list[int]:
        """Have those that lost their stores take back what the others have; which these are."""
        lacking = sorted(self.lacking)
        for number in lacking:
            await self.clients.take_back(number)
        for number in range(len(self.members) if lacking else 0):
            # What others have ceased to look for, for closure, is there again.
            await self.clients.retry(number)
        self.lacking.clear()
        return lacking

    async def retry_incomplete(self) -> None:
        """Have members look again for what replicas need, where they have ceased to after a long time."""
        for number, member in enumerate(self.members):
            assert member.process is not None, "all run"
            page = await member.process.replication.control.incomplete("", INCOMPLETE_MAX)
            if any(one.state == "incomplete" for one in page.entities):
                await self.clients.retry(number)

    def anchor_all(self) -> None:
        """Have every member anchor its audit log."""
        for member in self.members:
            member.anchor()

    def start_all(self) -> None:
        """Start every member that does not run."""
        for member in self.members:
            member.start()


def _nothing() -> None:
    """Do nothing."""
