"""Options and arguments that several commands share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hansa.cli.output import folded
from hansa.core.errors import Code, Refused

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]
Folder = Annotated[Path, typer.Argument(metavar="D", help="The marketplace's folder.", readable=False)]
"""Whether it can be read is for the command to say, in one sentence and with a status of its own."""
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

Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="NAME=VALUE",
        help="Only events of such entities: entityType, lifecycleStatus, category, region or compliance.",
    ),
]
"""Several values are separated by commas; several conditions all hold."""

P2pHost = Annotated[
    str, typer.Option("--p2p-host", help="Address of this machine for other members' engines.")
]
P2pPort = Annotated[
    int | None, typer.Option("--p2p-port", help="Port for other members' engines. [default: a free one]")
]
ListenHost = Annotated[
    str | None, typer.Option("--listen-host", help="Address of this machine that HTTP is served on.")
]
ListenPort = Annotated[
    int | None,
    typer.Option("--listen-port", help="Port that HTTP is served on. [default: that of the endpoint]"),
]

Country = Annotated[
    str,
    typer.Option(
        "--country",
        metavar="CODE",
        help="Where it is: ISO 3166-1, two letters. The other members check it when they admit it.",
    ),
]

Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking; for scripts.")]

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


def check_folder(folder: Path) -> None:
    """Check that a folder is a marketplace's, before anything is asked of the user.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`.
    """
    from hansa.node.settings.loading import load_settings

    load_settings(folder, {})


def confirm(risk: str, *, is_confirmed: bool) -> None:
    """Show a risk, and have the user confirm that it is taken: by `--yes`, or by an answer on a terminal.

    Raises:
        Refused: `Code.CONFLICT`, when it is not confirmed.
    """
    text = " ".join(risk.split()) if sys.stderr.isatty() else risk.rstrip()
    sys.stderr.write(folded(text) + "\n")
    if is_confirmed:
        return
    if not sys.stdin.isatty():
        raise Refused(Code.CONFLICT, "Nothing was done: confirm with --yes that this risk is taken.")
    if not typer.confirm("Go on?", err=True):
        raise Refused(Code.CONFLICT, "Nothing was done.")
