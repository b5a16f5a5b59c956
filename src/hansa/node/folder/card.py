"""Member cards: what a marketplace publishes about itself before the league is founded (`member.json`)."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Fatal
from hansa.core.files import read_file
from hansa.core.members import Member
from hansa.node.folder.errors import reason_of


class MemberCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `member.json`."""

    member: Member
    p2p_address: str
    """`<node id>@host:port` of its engine."""


def read_card(path: Path) -> MemberCard:
    """A member's card.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file.
    """
    content = read_file(path, "Its member has it: it is the file member.json in the marketplace's folder.")
    try:
        return msgspec.json.decode(content, type=MemberCard)
    except UNREADABLE as error:
        raise Fatal(
            Code.SETTINGS_INVALID, f"{path} is not a readable member card: {reason_of(error)}."
        ) from error
