"""The commands, their options, help and examples; `hansa.cli.app` assembles them.

A command imports what it runs when it is called, so that `hansa --help` and the report of a wrong command
line are fast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

import msgspec

from hansa.cli.reporting import reporting

P = ParamSpec("P")


class Command(msgspec.Struct, frozen=True):
    """A command as the command line offers it."""

    name: str
    run: Callable[..., None]
    """Its parameters are the arguments and options, its docstring is the help."""
    short_help: str
    example: str


class CommandGroup(msgspec.Struct, frozen=True):
    """Commands with a first word in common, as `hansa keys show` and `hansa keys rotate`."""

    name: str
    short_help: str
    commands: tuple[Command, ...]
    default: str | None = None
    """Name of the command that runs when the first word is none of them."""


def command(
    short_help: str, example: str, name: str | None = None
) -> Callable[[Callable[P, int | None]], Command]:
    """Make a function a command; its operating errors become a message and an exit status.

    Args:
        short_help: Its line in `hansa --help`.
        example: A whole command line.
        name: What it is called; default: the name of the function.
    """

    def decorate(function: Callable[P, int | None]) -> Command:
        return Command(name or function.__name__, reporting(function), short_help, example)

    return decorate
