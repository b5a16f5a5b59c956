"""A simulated marketplace over all its processes: its folder, its crashes, its backups."""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
from pathlib import Path
from typing import Final

from hansa.core.clock import Clock
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.node.folder import AGREEMENT_KEY
from hansa.sim.members.identity import Identity
from hansa.sim.members.process import Failures, Process
from hansa.sim.world.ledger import SimulatedLedger
from hansa.sim.world.loop import MemberClock
from hansa.sim.world.network import SimulatedNetwork

STORE_FILES: Final = ("store.db", "store.db-wal")
"""What of a store is on the disk at any moment; the file `-shm` is memory that processes share."""


class SimulatedMember:
    """One marketplace.

    Args:
        one: Who it is.
        folder: Where its folders are, one for each process.
        template: A store without content, of which a new one is a copy.
        network: Between all.
        ledger: Of all.
        known: The members of the genesis.
        clock: The league's.
        drawn: Its random numbers.
        limits: Its own.
    """

    def __init__(
        self,
        one: Identity,
        folder: Path,
        template: Path,
        network: SimulatedNetwork,
        ledger: SimulatedLedger,
        known: tuple[Member, ...],
        clock: Clock,
        drawn: random.Random,
        limits: Limits,
    ) -> None:
        self.one = one
        self.name, self.did, self.endpoint = one.name, one.did, one.endpoint
        self._folder = folder
        self._template = template
        self._network = network
        self._ledger = ledger
        self._known = known
        self.clock = MemberClock(clock)
        self._entropy: Entropy = drawn.randbytes
        self._limits = limits
        self._numbers = itertools.count(1)
        self._ending: list[asyncio.Task[None]] = []
        self._backup: Path | None = None
        self._current: Path | None = None
        self.failures = Failures()
        self.process: Process | None = None
        self.has_left = False
        self.restored_at_s: float | None = None
        """When its store was last replaced by an older one."""
        self.policies: dict[str, str] = {}
        """The operator's files, by name."""

    # -- processes -----------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether it has a process."""
        return self.process is not None

    def start(self) -> None:
        """Start a process on what is on the disk, unless one runs."""
        if self.process is not None:
            return
        folder = self._current if self._current is not None else self._new_folder(self._template.parent)
        self._current = folder
        self._write_policies(folder)
        self._write_keys(folder)
        self.process = Process(
            *(self.one, folder, self._network, self._ledger, self._known, self.clock, self._entropy),
            *(self._limits, self.failures),
        )
        self.process.start()

    def anchor(self) -> None:
        """Have the audit log anchored, if it runs."""
        if self.process is not None and self.process.is_running:
            self.process.spawn(self.process.anchor())

    async def stop(self) -> None:
        """Stop it in good order."""
        process, self.process = self.process, None
        if process is not None:
            await process.end()

    def crash(self) -> None:
        """End the process here and now: what is on the disk at this moment is what is left."""
        process, self.process = self.process, None
        if process is None:
            return
        assert self._current is not None, "a process has a folder"
        self._current = self._new_folder(self._current)
        process.is_running = False
        self._network.end(process)
        self._ending.append(asyncio.get_running_loop().create_task(process.end()))

    async def ended(self) -> None:
        """Wait until nothing of earlier processes is left."""
        ending, self._ending = self._ending, []
        await asyncio.gather(*ending)

    # -- the disk ------------------------------------------------------------------------------------------

    def back_up(self) -> None:
        """Copy what is on the disk now."""
        if self._current is not None:
            self._backup = self._new_folder(self._current)

    def restore(self) -> None:
        """Lose the store by a crash, and put the last backup in its place; an empty one, without a backup."""
        self.crash()
        self._current = self._new_folder(self._backup if self._backup is not None else self._template.parent)
        self.restored_at_s = self.clock.monotonic()

    def set_policy(self, name: str, text: str | None) -> None:
        """Write one of the operator's files, or remove it."""
        if text is None:
            self.policies.pop(name, None)
        else:
            self.policies[name] = text
        if self._current is not None:
            self._write_policies(self._current)
        if self.process is not None:
            self.process.note_changed_files()

    def _write_keys(self, folder: Path) -> None:
        path = folder / AGREEMENT_KEY
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(self.one.agreement_key.private_document())

    def _write_policies(self, folder: Path) -> None:
        policies = folder / "policies"
        policies.mkdir(exist_ok=True)
        for name in ("publish.cedar", "consume.cedar"):
            path = policies / name
            if name in self.policies:
                path.write_text(self.policies[name], encoding="utf-8")
            else:
                path.unlink(missing_ok=True)

    def _new_folder(self, source: Path) -> Path:
        """A folder with a copy of the store of another one."""
        folder = self._folder / f"{self.name}-{next(self._numbers)}"
        folder.mkdir(parents=True)
        for name in STORE_FILES:
            if (source / name).exists():
                shutil.copyfile(source / name, folder / name)
        return folder
