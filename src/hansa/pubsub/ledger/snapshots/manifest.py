"""What a snapshot consists of: closed JSON, the same bytes at every member for the same height.

    app_hash   after the block of that height
    chain_id   of the league
    chunks     size and SHA-256 of each, in their order
    format     1
    groups     the 256 hashes over each 256 buckets of claims, one after another
    height     of the block
    ruleset    by which the ledger judges
    sections   their contents, in the order of the rule set: what `app_hash` is the root of

A manifest proves itself: `app_hash` follows from `sections`, and `groups` from one of them. So whoever knows
the right `app_hash`, from headers that the validators signed, knows of each piece of the state what it has to
be, and recognizes a wrong one when it comes, whatever the hashes of the chunks are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.core.closed_json import Integer, ListOf, Record, Text
from hansa.core.errors import Code, Refused
from hansa.core.merkle import root as merkle_root
from hansa.pubsub.ledger.commitments.app_hash import SECTIONS, Sections
from hansa.pubsub.ledger.commitments.claims import BUCKETS, GROUP_SIZE

FORMAT: Final = 1
CHUNK_SIZE_MAX_BYTES: Final = 4_000_000
CHUNKS_MAX: Final = 8192
MANIFEST_SIZE_MAX_BYTES: Final = 2_000_000
"""The engine takes no message beyond 4,000,000 bytes."""
_HASH_SIZE_BYTES: Final = 32
_COUNTED_SIZE_BYTES: Final = 40
"""Of a section that is a number and a root."""

_SECTIONS_MAX: Final = 64
_HASH: Final = Text("[0-9a-f]{64}")
MANIFEST: Final = Record(
    {
        "app_hash": _HASH,
        "chain_id": Text(r"[!#-\[\]-~]{1,50}"),
        "chunks": ListOf(
            Record({"hash": _HASH, "size": Integer(1, CHUNK_SIZE_MAX_BYTES)}),
            CHUNKS_MAX,
        ),
        "format": Integer(FORMAT, FORMAT),
        "groups": Text(f"[0-9a-f]{{{2 * _HASH_SIZE_BYTES * (BUCKETS // GROUP_SIZE)}}}"),
        "height": Integer(1, 2**53 - 1),
        "ruleset": Text("[a-z0-9/.-]{1,64}"),
        "sections": ListOf(Text("(?:[0-9a-f]{2}){1,65536}"), _SECTIONS_MAX),
    }
)
"""The form of a manifest."""


class Chunk(msgspec.Struct, frozen=True):
    """What a chunk has to be."""

    hash: str
    """SHA-256, hex."""
    size: int

    def holds(self, content: bytes) -> bool:
        """Whether these bytes are the chunk."""
        return len(content) == self.size and hashlib.sha256(content).hexdigest() == self.hash


class StateManifest(msgspec.Struct, frozen=True):
    """A snapshot, without its content."""

    chain_id: str
    height: int
    sections: Sections
    groups: tuple[bytes, ...]
    """The hashes over each 256 buckets of claims."""
    chunks: tuple[Chunk, ...]

    @property
    def app_hash(self) -> bytes:
        """After the block of its height."""
        return self.sections.app_hash

    @property
    def events(self) -> int:
        """How many events the ledger has."""
        return counted_of(self.sections.content("events"))[0]

    def write(self) -> bytes:
        """Its one byte string."""
        names = SECTIONS[self.sections.ruleset]
        return MANIFEST.write(
            {
                "app_hash": self.app_hash.hex(),
                "chain_id": self.chain_id,
                "chunks": tuple({"hash": one.hash, "size": one.size} for one in self.chunks),
                "format": FORMAT,
                "groups": b"".join(self.groups).hex(),
                "height": self.height,
                "ruleset": self.sections.ruleset,
                "sections": tuple(self.sections.content(name).hex() for name in names),
            }
        )


def read_manifest(raw: bytes) -> StateManifest:
    """The manifest that somebody offers, which contradicts neither itself nor the form.

    Raises:
        Refused: `Code.MALFORMED`; `Code.RULES_DIFFER`, when its ledger judges by rules that this release does
        not know.
    """
    if len(raw) > MANIFEST_SIZE_MAX_BYTES:
        raise Refused(Code.MALFORMED, "The manifest is too large.")
    fields = MANIFEST.read(raw)
    sections = _sections_of(fields)
    groups = bytes.fromhex(fields["groups"])
    manifest = StateManifest(
        fields["chain_id"],
        fields["height"],
        sections,
        tuple(groups[at : at + _HASH_SIZE_BYTES] for at in range(0, len(groups), _HASH_SIZE_BYTES)),
        tuple(Chunk(**one) for one in fields["chunks"]),
    )
    if manifest.app_hash.hex() != fields["app_hash"] or merkle_root(manifest.groups) != sections.content(
        "claims"
    ):
        raise Refused(Code.MALFORMED, "The manifest contradicts itself.")
    return manifest


def _sections_of(fields: Mapping[str, Any]) -> Sections:
    names = SECTIONS.get(fields["ruleset"])
    if names is None:
        raise Refused(Code.RULES_DIFFER, f"The snapshot is of a ledger with the rules {fields['ruleset']}.")
    if len(names) != len(fields["sections"]):
        raise Refused(Code.MALFORMED, "The manifest has not the sections of its rules.")
    contents = {name: bytes.fromhex(text) for name, text in zip(names, fields["sections"], strict=True)}
    if contents["ruleset"] != fields["ruleset"].encode("ascii"):
        raise Refused(Code.MALFORMED, "The manifest names other rules than its sections.")
    if any(len(contents[name]) != _COUNTED_SIZE_BYTES for name in names if name not in _UNCOUNTED):
        raise Refused(Code.MALFORMED, "A section of the manifest is not a number and a root.")
    return Sections(contents)


_UNCOUNTED: Final = frozenset({"ruleset", "claims", "parameters"})


def counted_of(content: bytes) -> tuple[int, bytes]:
    """Number and root in the content of a section."""
    assert len(content) == _COUNTED_SIZE_BYTES, "a section of counted leaves"
    return int.from_bytes(content[:8]), content[8:]
