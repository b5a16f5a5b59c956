"""What the signed payloads of governance share: forms of their fields, and the JWS around them."""

from __future__ import annotations

from typing import Final, Generic

import msgspec

from hansa.core.batches import JWS_TYPE, SEQ_MAX
from hansa.core.closed_json import Integer, Text
from hansa.core.closed_structs import StructForm, StructT
from hansa.core.identifiers import DID_PATTERN
from hansa.core.jws import CompactJws, jades_header, read_compact
from hansa.core.keys import KeySigner

DID: Final = Text(DID_PATTERN)
SEQ: Final = Integer(1, SEQ_MAX)
HASH: Final = Text("[0-9a-f]{64}")
"""SHA-256, in hex."""
HEIGHT: Final = Integer(0, 2**53 - 1)
TIME_MS: Final = Integer(0, 253_402_300_799_999)
"""Milliseconds from 1970 to the end of the year 9999."""


def jws_text(length_max_chars: int) -> Text:
    """The form of a compact JWS inside a payload."""
    return Text(f"[A-Za-z0-9_.-]{{1,{length_max_chars}}}")


class LeagueChange(msgspec.Struct, frozen=True, tag_field="change"):
    """One change of a proposal."""

    @property
    def kind(self) -> str:
        """Its name, as `member.put`."""
        return str(self.__struct_config__.tag)


class SignedForm(Generic[StructT]):
    """A payload with the JWS around it: which media type it has, and how both are read and written.

    Args:
        content_type: Media type of the payload, which the header's `cty` names. So a signature over a payload
            of one kind never passes for one over another kind.
        form: Of the payload.
    """

    def __init__(self, content_type: str, form: StructForm[StructT]) -> None:
        self.content_type = content_type
        self.header = jades_header(content_type)
        self.form = form

    def read(self, compact: str) -> tuple[StructT, CompactJws]:
        """The payload of a JWS, and the JWS itself, whose signature is still to be verified.

        Raises:
            Refused: `Code.MALFORMED`.
        """
        jws = read_compact(compact, self.header)
        return self.form.read(jws.payload), jws

    def sign(self, payload: StructT, key: KeySigner, signed_at_s: int) -> str:
        """A payload as a compact JWS.

        Args:
            payload: Of the form.
            key: Its name becomes the header's `kid`.
            signed_at_s: The claimed signing time, seconds since 1970.
        """
        raw = self.form.write(payload)
        return key.sign(raw, self.header, cty=self.content_type, iat=signed_at_s, typ=JWS_TYPE)
