"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hansa.core.errors import Code, Refused

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]
Folder = Annotated[Path, typer.Argument(metavar="D", help="The marketplace's folder.")]
Url = Annotated[str, typer.Argument(metavar="[URL]", help="Address of the marketplace.", show_default=True)]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="HANSA_TOKEN",
        show_envvar=True,
        help="Bearer token for the marketplace's API (made by `hansa token`).",
    ),
]
Types = Annotated[
    list[str] | None, typer.Option("--type", metavar="TYPE", help="Only this type; may be repeated.")
]

DEFAULT_URL = "http://127.0.0.1:8101"
"""The first member of a demo league."""


def at_least(value: int, minimum: int, option: str) -> int:
    """The value of an option, checked against its minimum.

    Raises:
        Refused: `Code.INVALID`.
    """
    if value < minimum:
        raise Refused(Code.INVALID, f"{option} must be {minimum} or more.")
    return value
