"""A state in parts that prove themselves: the contents of all sections, and the records of those that differ.

The application hash is the root over the contents (`hansa.pubsub.ledger.commitments.app_hash`), so whoever
has a signed header knows whether the contents are right, and whoever has the contents knows it of the
records. A light member requests them again and again, and says what it has: of each section that it has
already, a *tag*. The answer has no records of those. It is of one state, and bounded: what has no room is
left out and requested again.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Refused
from hansa.pubsub.ledger.commitments.app_hash import Sections, record_sections
from hansa.pubsub.ledger.storage.tree_tables import TreeTables

TAG_LENGTH_CHARS: Final = 12
TAGS_MAX: Final = 64
RECORDS_SIZE_MAX_BYTES: Final = 4_194_304
"""Of all records in an answer, but for those of a single section that has more."""


class SectionPart(msgspec.Struct, frozen=True, omit_defaults=True):
    """One section."""

    name: str
    content: bytes
    """What the application hash commits to of it; base64."""
    records: dict[str, bytes] | None = None
    """By key; None when they are left out, or it has none."""


class StateParts(msgspec.Struct, frozen=True):
    """A state, as far as it was requested."""

    height: int
    """Of its last block."""
    sections: tuple[SectionPart, ...]
    """All of them, in the order of their leaves."""

    @property
    def contents(self) -> dict[str, bytes]:
        """The contents by name."""
        return {one.name: one.content for one in self.sections}


_decoder: Final = msgspec.json.Decoder(StateParts)


def section_tag(name: str, content: bytes) -> str:
    """What tells the content of a section apart from every other one; proves nothing."""
    return hashlib.sha256(name.encode("ascii", "replace") + b"\x00" + content).hexdigest()[:TAG_LENGTH_CHARS]


def read_tags(text: str) -> frozenset[str]:
    """Tags that were written one after another.

    Raises:
        Refused: `Code.INVALID`.
    """
    is_whole = len(text) % TAG_LENGTH_CHARS == 0 and len(text) <= TAGS_MAX * TAG_LENGTH_CHARS
    if not is_whole or not set(text) <= set("0123456789abcdef"):
        raise Refused(
            Code.INVALID,
            f"These are not {TAGS_MAX} tags at most, of {TAG_LENGTH_CHARS} hexadecimal digits each.",
        )
    return frozenset(text[at : at + TAG_LENGTH_CHARS] for at in range(0, len(text), TAG_LENGTH_CHARS))


def state_parts(tables: TreeTables, height: int, sections: Sections, known: frozenset[str]) -> StateParts:
    """The parts of a state, in a read transaction.

    Args:
        tables: Of the state.
        height: Of its last block.
        sections: What its `app_hash` is the root of.
        known: Tags of sections whose records are not needed.
    """
    with_records = frozenset(record_sections(sections.ruleset))
    parts: list[SectionPart] = []
    size_bytes = 0
    for name in sections.names:
        content = sections.content(name)
        records: dict[str, bytes] | None = None
        if (
            name in with_records
            and section_tag(name, content) not in known
            and (size_bytes < RECORDS_SIZE_MAX_BYTES)
        ):
            records = dict(tables.records(name))
            size_bytes += sum(len(key) + len(body) for key, body in records.items())
        parts.append(SectionPart(name, content, records))
    return StateParts(height, tuple(parts))


def encode_parts(parts: StateParts) -> bytes:
    """As they travel: JSON, bytes in base64."""
    return msgspec.json.encode(parts)


def decode_parts(raw: bytes) -> StateParts:
    """Parts from strangers; nothing of them is checked yet.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    try:
        return _decoder.decode(raw)
    except UNREADABLE as error:
        raise Refused(Code.PROOF_INVALID, "The parts of a state are not in their form.") from error
