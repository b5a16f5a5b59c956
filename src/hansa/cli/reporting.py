"""Converts what a command raises into a message of one sentence and an exit status."""

from __future__ import annotations

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
        except BrokenPipeError:
            # Python would report the error again when it flushes the stream at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            status = PIPE_CLOSED
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            Output().error(Fatal(Code.DISK_FULL, "The disk is full; the output is not complete."))
            status = EXIT_STATUS[Code.DISK_FULL]
        if status:
            raise typer.Exit(status)

    return run
