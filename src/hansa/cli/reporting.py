"""Converts what a command raises into a message of one sentence and an exit status."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sys
from collections.abc import Callable
from typing import Final, ParamSpec

import typer

from hansa.cli.output import Output
from hansa.core.errors import EXIT_STATUS, Code, Fatal, HansaError

INTERRUPTED: Final = 130
"""128 + SIGINT, as shells have it."""
PIPE_CLOSED: Final = 141
"""128 + SIGPIPE: the reader closed our output, as `head` does."""

P = ParamSpec("P")


def report_os_error(error: OSError, *, as_json: bool = False) -> int:
    """Say what the operating system refused; the exit status for it."""
    if isinstance(error, BrokenPipeError):
        _abandon_output()
        return PIPE_CLOSED
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        _abandon_output()
        Output().error(Fatal(Code.DISK_FULL, "The disk is full; the output is not complete."))
        return EXIT_STATUS[Code.DISK_FULL]
    place = f"{error.filename}: " if error.filename else ""
    reason = error.strerror or type(error).__name__
    Output(as_json=as_json).error(Fatal(Code.SETTINGS_INVALID, f"{place}{reason}."))
    return EXIT_STATUS[Code.SETTINGS_INVALID]


def _abandon_output() -> None:
    """Discard what is left to write: Python would report the error again when it flushes at exit."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a file, as in tests
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def reporting(command: Callable[P, int | None]) -> Callable[P, None]:
    """A command whose operating errors become a message and an exit status, without a traceback.

    A command returns its own exit status where the result is not an error, as that of `hansa diff`.
    """

    @functools.wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> None:
        try:
            status = command(*args, **options) or 0
            sys.stdout.flush()
        except HansaError as error:
            Output(as_json=bool(options.get("as_json"))).error(error)
            status = error.exit_status
        except KeyboardInterrupt:
            status = INTERRUPTED
        except OSError as error:
            status = report_os_error(error, as_json=bool(options.get("as_json")))
        if status:
            raise typer.Exit(status)

    return run
