"""`hansa import`: runs an import with a progress bar, and shows how to resume it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hansa.business.models import load
from hansa.cli.client import Client
from hansa.cli.durations import seconds_of
from hansa.cli.imports.concurrency import REQUESTS_MAX
from hansa.cli.imports.importer import Importer, ImportReport, summary
from hansa.cli.imports.lines import BadLine, count_lines
from hansa.cli.output import Output
from hansa.cli.progress import ItemProgress
from hansa.core.clock import Clock
from hansa.core.errors import HansaError, Unavailable


def run_import(
    files: Sequence[Path], url: str, token: str | None, patience: str, output: Output, clock: Clock
) -> int:
    """Import files. Returns 1 when a line was refused.

    Raises:
        HansaError: when the import could not be finished.
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
        async with Client(url, token, connections_max=REQUESTS_MAX) as client:
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
        cause = {"code": str(error.code), "message": error.message}
        output.document({**msgspec.structs.asdict(report), "error": cause})
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
        return  # nothing was imported
    of_total = f" of {total:,}" if total is not None else ""
    output.message(f"Not finished: {report.lines:,}{of_total} lines are done.")
    if is_repeatable:
        output.message("Run the same command again to continue; what is done is left alone.")
