"""`hansa demo`: a league on this machine, created or resumed, with sample data, until it is told to stop.

The members are started together, and all of them are waited for. Then the sample data is loaded, once in the life of a
league, and `league ready` is printed. Whatever fails until then stops everything again; afterwards a member that dies
stays down until somebody starts it.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from hansa.business.models import load
from hansa.cli.client import Client
from hansa.cli.demo.members import DemoMember, DemoProcesses, holder_of
from hansa.cli.demo.view import DemoView
from hansa.cli.imports.importer import Importer
from hansa.cli.output import Output
from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, Fatal, HansaError
from hansa.core.identifiers import Entropy
from hansa.node.demo_league import HOST, NAMES, create_or_resume_league

SAMPLE: Final = Path(__file__).parent / "sample"
SAMPLE_LOADED: Final = "sample-loaded"
"""In the league's folder: the sample data was loaded."""


class DemoOptions(msgspec.Struct, frozen=True):
    """What the command line says."""

    folder: Path
    members: int
    base_port: int
    is_empty: bool
    is_followed: bool


def run_demo(options: DemoOptions, output: Output, clock: Clock, entropy: Entropy) -> None:
    """Run the league until SIGTERM, SIGHUP or Ctrl-C.

    Raises:
        HansaError: when it does not start; then nothing of it runs.
    """
    is_new = not options.folder.exists()
    folders = create_or_resume_league(options.folder, options.members, options.base_port, clock, entropy)
    members = [
        DemoMember(folder.name, folder, f"http://{HOST}:{options.base_port + number}")
        for number, folder in enumerate(folders, 1)
    ]
    processes = DemoProcesses(members, clock)
    try:
        processes.check()
    except Fatal:
        if is_new:  # so that another attempt, with other ports, may use the folder
            shutil.rmtree(options.folder)
        raise
    asyncio.run(_run(options, members, processes, output, clock))


async def _run(
    options: DemoOptions,
    members: Sequence[DemoMember],
    processes: DemoProcesses,
    output: Output,
    clock: Clock,
) -> None:
    try:
        was_told = await until_signal(_serve(options, members, processes, output, clock))
    finally:
        if output.is_live:
            output.message("Stopping the league …")
        # A second signal does not wait for anybody.
        if await until_signal(processes.stop()):
            await processes.kill()
    if was_told and not output.as_json:
        output.message("The league has stopped.")
        for member in members:
            holder = holder_of(member.folder)
            if holder is not None:
                output.message(f"{member.name} was started by somebody else and runs on: process {holder}.")


async def _serve(
    options: DemoOptions,
    members: Sequence[DemoMember],
    processes: DemoProcesses,
    output: Output,
    clock: Clock,
) -> None:
    if not output.as_json:
        output.message(f"Starting {len(members)} marketplaces in {options.folder} …")
    await processes.start()
    await processes.wait_until_ready()
    if not options.is_empty:
        await load_sample(options.folder, members, clock, output)
    announce(members, output)
    if options.is_followed and not output.as_json:
        await DemoView(members, clock, output).show(is_live=sys.stdout.isatty())
    await asyncio.Event().wait()


def announce(members: Sequence[DemoMember], output: Output) -> None:
    """Say that the league is ready, where it is, and with which tokens it can be written to."""
    if output.as_json:
        listed = [
            {"name": m.name, "url": m.url, "token": m.token, "folder": str(m.folder), "log": str(m.log)}
            for m in members
        ]
        output.document({"event": "league ready", "members": listed}, is_indented=False)
        return
    output.data("league ready  " + "  ".join(f"{member.name} {member.url}" for member in members))
    for member in members:
        output.data(f"token of {member.name} ({member.folder / 'token'}): {member.token}")


def sample_files(member_count: int) -> list[list[Path]]:
    """The sample data of each member: one file each for the first four; a smaller league shares the rest out.

    Members beyond the fourth begin without entities of their own.
    """
    shares: list[list[Path]] = [[] for _ in range(member_count)]
    for number, name in enumerate(NAMES):
        shares[number % member_count].append(SAMPLE / f"{name}.jsonl")
    return shares


async def load_sample(folder: Path, members: Sequence[DemoMember], clock: Clock, output: Output) -> None:
    """Load the sample data, unless that was done before.

    Raises:
        HansaError: when it cannot be loaded.
    """
    mark = folder / SAMPLE_LOADED
    if mark.exists():
        return
    models = load()

    async def load_one(member: DemoMember, files: Sequence[Path]) -> None:
        async with Client(member.url, member.token) as client:
            report = await Importer(client, models, clock).run(files)
        if report.bad:
            raise Fatal(Code.INVALID, f"{member.name} refused sample data: {report.bad[0]}")

    await asyncio.gather(*map(load_one, members, sample_files(len(members))))
    try:
        mark.write_text(rfc3339(clock.now()) + "\n", encoding="ascii")
    except OSError as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{mark} cannot be written: {error.strerror}.") from error
    if not output.as_json:
        output.message("The sample data is loaded.")


async def until_signal(work: Coroutine[Any, Any, None]) -> bool:
    """Run `work` until it ends or a signal asks to stop, which cancels it; returns whether one did."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    was_told = False

    def stop() -> None:
        nonlocal was_told
        was_told = True
        task.cancel()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not was_told:
            raise
    except HansaError:
        if not was_told:
            raise
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
    return was_told
