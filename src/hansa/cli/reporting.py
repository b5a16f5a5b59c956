"""From what a command raises to what a person reads and a script sees: one sentence and an exit status."""

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
"""128 + SIGPIPE: the reader of our output has gone, as `head` does."""

P = ParamSpec("P")


def reporting(command: Callable[P, int | None]) -> Callable[P, None]:
    """A command whose operating errors end it with a message and their exit status, without a stack.

    A command returns its own exit status where an outcome is no error (`diff` found differences).
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
            # Python would complain once more when it flushes at the end.
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
