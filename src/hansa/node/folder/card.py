"""Member cards: what a marketplace publishes about itself before the league is founded (`member.json`)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

import msgspec

from hansa.core.errors import Code, Fatal
from hansa.core.files import read_file
from hansa.core.members import Member
from hansa.node.folder.errors import reason_of

VALIDATOR_KEY_BYTES: Final = 32


class MemberCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `member.json`."""

    member: Member
    validator_key: str
    """Ed25519 public key of its validator, base64."""
    p2p_address: str
    """`<node id>@host:port` of its engine."""

    def validator_key_bytes(self) -> bytes:
        """The validator's key, decoded.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, when it is not an Ed25519 public key.
        """
        try:
            key = base64.b64decode(self.validator_key, validate=True)
        except ValueError:
            key = b""
        if len(key) != VALIDATOR_KEY_BYTES:
            raise Fatal(Code.SETTINGS_INVALID, f"The card of {self.member.name} has no usable validator key.")
        return key


def read_card(path: Path) -> MemberCard:
    """A member's card.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file.
    """
    content = read_file(path, "Its member has it: it is the file member.json in the marketplace's folder.")
    try:
        return msgspec.json.decode(content, type=MemberCard)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Fatal(
            Code.SETTINGS_INVALID, f"{path} is not a readable member card: {reason_of(error)}."
        ) from error
