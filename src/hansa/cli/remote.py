"""`hansa status`, `import`, `export`, `diff` and `events`: what is done with a marketplace over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from hansa.business.models import load
from hansa.cli.client import Client
from hansa.cli.differences import KINDS, CatalogueComparison, compare, rows_of
from hansa.cli.durations import seconds_of
from hansa.cli.events import EventReader, EventSelection, time_of
from hansa.cli.exports import TypeSkipped, export_lines, types_to_export
from hansa.cli.imports.importer import Importer, ImportReport, summary
from hansa.cli.imports.lines import BadLine, count_lines
from hansa.cli.imports.pace import WIDTH_MAX
from hansa.cli.options import at_least
from hansa.cli.output import Output
from hansa.cli.progress import ItemProgress
from hansa.cli.status import fetch_status, show_status
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused, Unavailable

DIFF_WAIT_STEP_S: Final = 0.5
TYPES_SHOWN_MAX: Final = 5


def run_status(url: str, token: str | None, output: Output) -> None:
    """Show how a marketplace is."""

    async def run() -> None:
        async with Client(url, token) as client:
            report = await fetch_status(client)
        if output.as_json:
            output.document(report)
        else:
            show_status(report, output)

    asyncio.run(run())


def run_import(
    files: Sequence[Path], url: str, token: str | None, patience: str, output: Output, clock: Clock
) -> int:
    """Import files. Returns 1 when a line was refused.

    Raises:
        HansaError: when it could not be finished.
    """
    patience_s, total = seconds_of(patience), count_lines(files)

    def on_bad(line: BadLine) -> None:
        if output.as_json:
            output.message(msgspec.json.encode(line).decode())
        else:
            progress.message(str(line))

    report: ImportReport | None = None

    async def run() -> None:
        nonlocal report
        async with Client(url, token, connections_max=WIDTH_MAX) as client:
            importer = Importer(
                client, load(), clock, patience_s=patience_s, on_bad=on_bad, on_done=progress.advance
            )
            report = importer.report
            await importer.run(files)

    try:
        with ItemProgress(f"import into {url}", total, output) as progress:
            asyncio.run(run())
    except HansaError as error:
        if report is None:
            raise
        if not output.as_json:
            _say_how_to_resume(report, total, output, is_repeatable=isinstance(error, Unavailable))
            raise
        output.message(error.message)
        told = {"code": str(error.code), "message": error.message}
        output.document({**msgspec.structs.asdict(report), "error": told})
        return error.exit_status
    except KeyboardInterrupt:
        if report is not None:
            _say_how_to_resume(report, total, output, is_repeatable=True)
        raise
    assert report is not None
    if output.as_json:
        output.document(report)
    else:
        output.data(summary(report))
    return 1 if report.refused else 0


def _say_how_to_resume(
    report: ImportReport, total: int | None, output: Output, *, is_repeatable: bool
) -> None:
    if report.lines == report.refused:
        return  # there is nothing to resume
    of_total = f" of {total:,}" if total is not None else ""
    output.message(f"Not finished: {report.lines:,}{of_total} lines are done.")
    if is_repeatable:
        output.message("Run the same command again to go on; what is done is left alone.")


def run_export(url: str, token: str | None, types: Sequence[str], is_own_only: bool, output: Output) -> None:
    """Write a catalogue as JSON Lines."""

    async def run() -> int:
        count = 0
        left_out: list[str] = []
        models = load()
        async with Client(url, token, connections_max=2) as client:
            wanted = types_to_export(models, types)
            async for line in export_lines(client, models, wanted, is_own_only=is_own_only):
                if not isinstance(line, TypeSkipped):
                    count += 1
                    output.data(line.decode())
                elif types:
                    raise Refused(Code.UNAUTHENTICATED, line.reason)
                else:
                    left_out.append(line.type)
        if left_out:
            shown = ", ".join(left_out[:TYPES_SHOWN_MAX]) + (" …" if len(left_out) > TYPES_SHOWN_MAX else "")
            output.message(f"{len(left_out)} private types are left out ({shown}): give a token.")
        return count

    count = asyncio.run(run())
    if output.is_live:
        output.message(f"{count:,} entities.")


def run_diff(
    urls: Sequence[str], types: Sequence[str], wait: str, limit: int, output: Output, clock: Clock
) -> int:
    """Compare catalogues. Returns 1 when they differ."""
    if len(urls) < 2:
        raise Refused(Code.INVALID, "Give the addresses of two members or more.")
    wait_s, limit = seconds_of(wait), at_least(limit, 0, "--limit")

    async def run() -> CatalogueComparison:
        deadline_s = clock.monotonic() + wait_s
        while True:
            found = await compare(urls, types, limit)
            if not found.count or clock.monotonic() >= deadline_s:
                return found
            await clock.sleep(min(DIFF_WAIT_STEP_S, max(0.0, deadline_s - clock.monotonic())))

    found = asyncio.run(run())
    if output.as_json:
        output.document({"same": not found.count, **msgspec.structs.asdict(found)})
    else:
        show_comparison(found, output)
    return 1 if found.count else 0


def show_comparison(found: CatalogueComparison, output: Output) -> None:
    """Write a comparison for a person."""
    if not found.count:
        output.data(
            f"The catalogues are the same: {found.entities[0]:,} entities at each of {len(found.members)} members."
        )
        return
    if found.differences:
        headings = ("type", "id", "differs in", *found.members)
        output.table(headings, rows_of(found.differences))
    if found.count > len(found.differences):
        output.data(f"… and {found.count - len(found.differences):,} more (--limit shows more of them)")
    counts = ", ".join(f"{getattr(found, kind):,} {kind}" for kind in KINDS if getattr(found, kind))
    sizes = ", ".join(f"{count:,} at {url}" for url, count in zip(found.members, found.entities, strict=True))
    output.data(f"The catalogues differ in {found.count:,} entities ({counts}). Entities: {sizes}.")


def run_events(url: str, wanted: EventSelection, is_followed: bool, output: Output, clock: Clock) -> None:
    """Write events; following them ends quietly with Ctrl-C."""
    now = clock.now()
    wanted = msgspec.structs.replace(
        wanted,
        from_time=time_of(wanted.from_time, now) if wanted.from_time else None,
        to_time=time_of(wanted.to_time, now) if wanted.to_time else None,
        limit=at_least(wanted.limit, 0, "--limit") if wanted.limit is not None else None,
        after=at_least(wanted.after, 0, "--after") if wanted.after is not None else None,
    )

    async def run() -> None:
        async with Client(url, connections_max=2) as client:
            reader = EventReader(client, clock, output)
            chosen = await reader.prepare(wanted)
            async for event in reader.follow(chosen) if is_followed else reader.pages(chosen):
                if output.as_json:
                    output.document(event, is_indented=False)
                else:
                    output.data(reader.line(event))

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        if not is_followed:
            raise
