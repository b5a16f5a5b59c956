"""`hansa demo`: a league on this machine, created or resumed, with sample data, until a signal stops it.

All members are started together. When all are ready, the sample data is loaded, once in the life of a league,
and `league ready` is printed. A failure before that stops everything again; afterwards a member that dies is
started again.
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
from hansa.cli.demo.identities import make_identities
from hansa.cli.demo.members import DemoMember, DemoProcesses, serving_process
from hansa.cli.demo.view import DemoView
from hansa.cli.imports.importer import Importer
from hansa.cli.output import Output
from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, Fatal, HansaError
from hansa.core.identifiers import Entropy
from hansa.node.folder import TOKEN
from hansa.node.folder.demo_league import HOST, NAMES, create_or_resume_league

STATUS: Final = "/league/v1/status"
PUBLISHED_TIMEOUT_S: Final = 30.0
PUBLISHED_POLL_S: Final = 0.1
SAMPLE: Final = Path(__file__).parent / "sample"
SAMPLE_LOADED: Final = "sample-loaded"
"""File in the league's folder that exists once the sample data is loaded."""


class DemoOptions(msgspec.Struct, frozen=True):
    """The options of the command line."""

    folder: Path
    members: int
    base_port: int
    is_empty: bool
    is_followed: bool


def run_demo(options: DemoOptions, output: Output, clock: Clock, entropy: Entropy) -> None:
    """Run the league until SIGTERM, SIGHUP or Ctrl-C.

    Raises:
        HansaError: when the league does not start; then none of its processes runs.
    """
    is_new = not options.folder.exists()
    league = options.folder, options.members, options.base_port
    folders = create_or_resume_league(*league, clock, entropy, has_identities=True)
    members = [
        DemoMember(folder.name, folder, f"http://{HOST}:{options.base_port + number}")
        for number, folder in enumerate(folders, 1)
    ]
    processes = DemoProcesses(members, clock)
    try:
        processes.check()
    except Fatal:
        if is_new:  # so that the next attempt, with other ports, can use the folder
            shutil.rmtree(options.folder)
        raise
    asyncio.run(_run(options, members, processes, output, clock, entropy))


async def _run(
    options: DemoOptions,
    members: Sequence[DemoMember],
    processes: DemoProcesses,
    output: Output,
    clock: Clock,
    entropy: Entropy,
) -> None:
    try:
        was_signalled = await until_signal(_serve(options, members, processes, output, clock, entropy))
    finally:
        if output.is_live:
            output.message("Stopping the league …")
        # A second signal ends all processes at once.
        if await until_signal(processes.stop()):
            await processes.kill()
    if was_signalled and not output.as_json:
        output.message("The league has stopped.")
        for member in members:
            process = serving_process(member.folder)
            if process is not None:
                output.message(f"{member.name} was started separately and runs on: process {process}.")


async def _serve(
    options: DemoOptions,
    members: Sequence[DemoMember],
    processes: DemoProcesses,
    output: Output,
    clock: Clock,
    entropy: Entropy,
) -> None:
    if not output.as_json:
        output.message(f"Starting {len(members)} marketplaces in {options.folder} …")
    await processes.start()
    await processes.wait_until_ready()
    if not options.is_empty:
        await load_sample(options.folder, members, clock, output)
    wallets = await make_identities(options.folder, members[0], clock, entropy)
    announce(members, output, wallets)
    view = DemoView(members, clock, output)
    work = [processes.keep_running(view.report)]
    if options.is_followed and not output.as_json:
        work.append(view.show(is_live=sys.stdout.isatty()))
    await asyncio.gather(*work)


def announce(members: Sequence[DemoMember], output: Output, wallets: Path | None = None) -> None:
    """Write that the league is ready, with the members' addresses, and where tokens and wallets are.

    The tokens themselves are for programs, and on no screen.
    """
    if output.as_json:
        listed = [
            {"name": m.name, "url": m.url, "token": m.token, "folder": str(m.folder), "log": str(m.log)}
            for m in members
        ]
        content = {"event": "league ready", "members": listed}
        content |= {"wallets": str(wallets)} if wallets is not None else {}
        output.document(content, is_indented=False)
        return
    output.items("league ready", [f"{member.name} {member.url}" for member in members])
    if members:
        name = members[0].name if len(members) == 1 else "NAME"
        output.data(f"operators' tokens: {members[0].folder.parent / name / TOKEN}")
    if wallets is not None:
        output.data(f"log in: {members[0].url}/login  wallets: {wallets}")


def sample_files(member_count: int) -> list[list[Path]]:
    """The files of sample data for each member: one each in a league of four, several each in a smaller one.

    Members beyond the fourth start without entities.
    """
    shares: list[list[Path]] = [[] for _ in range(member_count)]
    for number, name in enumerate(NAMES):
        shares[number % member_count].append(SAMPLE / f"{name}.jsonl")
    return shares


async def load_sample(folder: Path, members: Sequence[DemoMember], clock: Clock, output: Output) -> None:
    """Load the sample data, unless it was loaded before.

    Raises:
        HansaError: when the sample data cannot be loaded.
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
            await wait_until_published(client, clock)

    await asyncio.gather(*map(load_one, members, sample_files(len(members))))
    try:
        mark.write_text(rfc3339(clock.now()) + "\n", encoding="ascii")
    except OSError as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{mark} cannot be written: {error.strerror}.") from error
    if not output.as_json:
        output.message("The sample data is loaded.")


async def wait_until_published(client: Client, clock: Clock) -> None:
    """Wait until what was loaded is on the ledger, and with that public; for a while at most."""
    end_s = clock.monotonic() + PUBLISHED_TIMEOUT_S
    while clock.monotonic() < end_s:
        status = await client.get(STATUS)
        if isinstance(status, dict) and status.get("unpublished") == 0:
            return
        await clock.sleep(PUBLISHED_POLL_S)


async def until_signal(work: Coroutine[Any, Any, None]) -> bool:
    """Run `work` until it ends or a signal cancels it; returns whether a signal did."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    was_signalled = False

    def stop() -> None:
        nonlocal was_signalled
        was_signalled = True
        task.cancel()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not was_signalled:
            raise
    except HansaError:
        if not was_signalled:
            raise
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
    return was_signalled
