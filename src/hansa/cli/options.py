"""Options and arguments that several commands share."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from hansa.cli.output import folded
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

Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="NAME=VALUE",
        help="Only events of such entities: entityType, lifecycleStatus, category, region or compliance.",
    ),
]
"""Several values are separated by commas; several conditions all hold."""

Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking; for scripts.")]

SUGGESTED_MAX_CHARS = 80
KNOWN_SHOWN_MAX = 12
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


def check_known(words: Iterable[str], known: Iterable[str], what: str) -> None:
    """Check that an option's words are known ones.

    Args:
        words: As they were given.
        known: All that there are.
        what: What they are called, as `type`.

    Raises:
        Refused: `Code.INVALID`, with those that resemble the word, or all when they are few.
    """
    spellings = {each.lower(): each for each in known}
    for word in words:
        if word in spellings.values():
            continue
        near = difflib.get_close_matches(word.lower()[:SUGGESTED_MAX_CHARS], spellings, n=3, cutoff=0.6)
        if near:
            hint = f"did you mean {' or '.join(spellings[each] for each in near)}?"
        elif len(spellings) <= KNOWN_SHOWN_MAX:
            hint = f"there {'is' if len(spellings) == 1 else 'are'} {', '.join(sorted(spellings.values()))}."
        else:
            hint = f"there are {len(spellings)}, as {min(spellings.values())}."
        raise Refused(Code.INVALID, f"There is no {what} {word!r}; {hint}")


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
