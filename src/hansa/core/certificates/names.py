"""Distinguished names (X.501) of issuers and subjects.

Names are equal when their bytes are. Of what is inside, two attributes matter: the organization identifier
(ETSI EN 319 412-1, section 5.1.4), which is the identity of a legal person, and the common name, which is
shown to people and decides nothing.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.certificates.der import (
    BMP_STRING,
    IA5_STRING,
    PRINTABLE_STRING,
    SEQUENCE,
    SET,
    TELETEX_STRING,
    UTF8_STRING,
    DerReader,
    malformed,
)

RDNS_MAX: Final = 16
ATTRIBUTES_MAX: Final = 4
"""Of one relative distinguished name."""
VALUE_MAX_BYTES: Final = 512

_ORGANIZATION_IDENTIFIER: Final = bytes.fromhex("550461")
"""2.5.4.97"""
_COMMON_NAME: Final = bytes.fromhex("550403")
_TEXT_TAGS: Final = frozenset({UTF8_STRING, PRINTABLE_STRING})
_TAGS: Final = _TEXT_TAGS | {IA5_STRING, TELETEX_STRING, BMP_STRING}
_PRINTABLE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?")
_SHOWN_MAX_CHARS: Final = 64


class DistinguishedName(msgspec.Struct, frozen=True):
    """A distinguished name."""

    raw: bytes
    """As it is written; two names are equal when these are."""
    organization_identifier: str | None
    """None when the name has none."""
    common_name: str
    """Printable, up to 64 characters, for people alone; empty when there is none."""


def read_name(reader: DerReader) -> DistinguishedName:
    """The name that is next.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`; also for a name with two organization identifiers.
    """
    raw = reader.whole(SEQUENCE)
    sequence = DerReader(raw).inside(SEQUENCE)
    attributes: list[tuple[bytes, int, bytes]] = []
    rdns = 0
    while not sequence.is_at_end:
        rdns += 1
        if rdns > RDNS_MAX:
            raise malformed(f"a name has more than {RDNS_MAX} parts")
        attributes += _rdn(sequence.inside(SET))
    identifiers = [(tag, value) for oid, tag, value in attributes if oid == _ORGANIZATION_IDENTIFIER]
    if len(identifiers) > 1:
        raise malformed("a name has two organization identifiers")
    names = [value for oid, tag, value in attributes if oid == _COMMON_NAME and tag in _TEXT_TAGS]
    return DistinguishedName(raw, _identifier(*identifiers[0]) if identifiers else None, _shown(names[-1:]))


def _rdn(reader: DerReader) -> list[tuple[bytes, int, bytes]]:
    """The attributes of a relative distinguished name: type, tag of the value, content of the value."""
    attributes: list[tuple[bytes, int, bytes]] = []
    before = b""
    while not reader.is_at_end:
        if len(attributes) == ATTRIBUTES_MAX:
            raise malformed(f"a part of a name has more than {ATTRIBUTES_MAX} attributes")
        whole = reader.whole(SEQUENCE)
        if whole <= before:
            raise malformed("the attributes of a name are not in their one order")
        before = whole
        attributes.append(_attribute(DerReader(whole).inside(SEQUENCE)))
    if not attributes:
        raise malformed("a part of a name is empty")
    return attributes


def _attribute(reader: DerReader) -> tuple[bytes, int, bytes]:
    oid, tag = reader.object_identifier(), reader.tag()
    if tag not in _TAGS:
        raise malformed("an attribute of a name is no text")
    value = reader.content(tag)
    reader.end()
    if not 0 < len(value) <= VALUE_MAX_BYTES:
        raise malformed("an attribute of a name is empty or too long")
    if tag == PRINTABLE_STRING and not _PRINTABLE.issuperset(value):
        raise malformed("a PrintableString has a character that it cannot have")
    if tag == IA5_STRING and not value.isascii():
        raise malformed("an IA5String has a character that it cannot have")
    if tag == UTF8_STRING:
        try:
            value.decode("utf-8")
        except UnicodeDecodeError:
            raise malformed("a UTF8String is no UTF-8") from None
    return oid, tag, value


def _identifier(tag: int, value: bytes) -> str:
    if tag not in _TEXT_TAGS or not value.isascii():
        raise malformed("its organization identifier is no text of ASCII")
    return value.decode("ascii")


def _shown(values: list[bytes]) -> str:
    """A value as people may see it: nothing that acts on a terminal."""
    text = values[0].decode("utf-8") if values else ""
    return "".join(letter for letter in text if letter == " " or letter.isprintable())[:_SHOWN_MAX_CHARS]
