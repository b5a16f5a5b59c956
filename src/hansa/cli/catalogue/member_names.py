"""Members as operators name them, and as tables show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hansa.core.errors import Code, Refused
from hansa.core.foreign_text import printable

ACTIVE_STATUSES = frozenset({None, "active"})


def member_named(members: Sequence[Mapping[str, Any]], name: str, option: str) -> Mapping[str, Any]:
    """The one member that has a name or a DID.

    Args:
        members: Each with `did` and `name`.
        name: As the operator gives it.
        option: Of the command line, for the message.

    Raises:
        Refused: `Code.INVALID`, when it is the name of none, or of several.
    """
    named = [one for one in members if name == one["did"]] or [one for one in members if name == one["name"]]
    if len(named) != 1:
        known = ", ".join(sorted(printable(str(one["name"])) for one in members))
        raise Refused(Code.INVALID, f"{option} {name}: not the name or DID of one member ({known}).")
    return named[0]


def name_with_status(name: str, status: str | None) -> str:
    """A member's name; with its status when that is another than active."""
    return printable(name if status in ACTIVE_STATUSES else f"{name} ({status})")
