"""The sections of the state, and `app_hash`, the root over them.

    ruleset       name of the rules that judged everything
    events        number of the events, and the root of their tree
    claims        the root of the claims (`hansa.pubsub.ledger.commitments.claims`)
    registry      number of the members, and the root over them
    issuers       the same of what is remembered of issuers
    validators    of the validators
    misbehavior   of what validators were punished for
    parameters    the limits of the league, as they are stored

and, under `hansa-ledger/4`, the same as of the registry of what the members decide: `SECTIONS_4`. A record of
these is hashed with its key.

A leaf is the section's name, a zero byte and its content; numbers have 8 bytes, big-endian. Each rule set has
its sections, and so the number of leaves and the place of each; and since sizes are hashed beside roots, no
proof about a tree of one size is one about a tree of another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from hansa.core.merkle import Frontier, inclusion_proof, leaf_hash, root, verify_inclusion

RULESET_3: Final = "hansa-ledger/3"
RULESET_4: Final = "hansa-ledger/4"
NEWEST_RULESET: Final = RULESET_4
"""By which leagues are founded."""

SECTIONS_3: Final = (
    *("ruleset", "events", "claims", "registry", "issuers", "validators", "misbehavior", "parameters"),
)
SECTIONS_4: Final = (
    *SECTIONS_3,
    *("proposals", "votes", "history", "trusted_issuers", "anchors", "certificates", "policies", "upgrades"),
    *("senders", "decisions", "suspensions", "powers", "agenda", "league"),
)
SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {RULESET_3: SECTIONS_3, RULESET_4: SECTIONS_4}
"""The sections under each rule set, in the order of their leaves."""

COUNT_SIZE_BYTES: Final = 8
"""Of the number in front of a root (`counted`)."""
_OTHERS: Final = frozenset({"ruleset", "events", "claims", "parameters"})

HASH_LAYOUT: Final = {
    "claim": "key:32 sha256(issuer):32 first:8 last:8 version:8 hashlink:32 deleted:1; 65536 buckets",
    "event": "height:8 time_ms:8 index:4 sha256(batch):32",
    "section": "name 00 content; counted: count:8 root:32",
}
"""What is hashed, for the digest of the rules."""
_HASH_LAYOUT_4: Final = {"record": "of sections that are not of hansa-ledger/3: key 00 record"}


class Sections:
    """The content of every section under a rule set. Immutable.

    Args:
        contents: By the names of the sections, of all that the rule set in `ruleset` has.
    """

    __slots__ = ("_contents",)

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        names = SECTIONS[contents["ruleset"].decode("ascii")]
        assert contents.keys() == set(names), "a rule set has its sections"
        self._contents = {name: contents[name] for name in names}

    @property
    def ruleset(self) -> str:
        """Name of the rule set."""
        return self._contents["ruleset"].decode("ascii")

    @property
    def names(self) -> tuple[str, ...]:
        """The sections, in the order of their leaves."""
        return tuple(self._contents)

    @property
    def app_hash(self) -> bytes:
        """What the validators sign: commits to everything."""
        return root(self._leaves())

    def content(self, name: str) -> bytes:
        """The content of a section."""
        return self._contents[name]

    def replaced(self, contents: Mapping[str, bytes]) -> Sections:
        """The sections with other contents; those of another rule set where `ruleset` is among them."""
        merged = {**self._contents, **contents}
        return Sections({name: merged[name] for name in SECTIONS[merged["ruleset"].decode("ascii")]})

    def encoded(self) -> bytes:
        """The sections as the state stores them, for those who read it."""
        return msgspec.msgpack.encode(tuple(self._contents.values()))

    @staticmethod
    def decoded(raw: bytes) -> Sections:
        """What was encoded by this process or another one of this member.

        Raises:
            msgspec.DecodeError: it is something else.
        """
        contents = msgspec.msgpack.decode(raw, type=tuple[bytes, ...])
        names = SECTIONS.get(contents[0].decode("ascii", "replace"), ()) if contents else ()
        if len(names) != len(contents) or not contents:
            raise msgspec.DecodeError("These are not the sections of a rule set that this release knows.")
        return Sections(dict(zip(names, contents, strict=True)))

    def path(self, name: str) -> tuple[bytes, ...]:
        """What shows, with a section's content, that `app_hash` commits to it."""
        return inclusion_proof(self._leaves(), tuple(self._contents).index(name))

    def _leaves(self) -> Sequence[bytes]:
        return [_leaf(name, content) for name, content in self._contents.items()]


def record_sections(ruleset: str) -> tuple[str, ...]:
    """The sections of keyed records under a rule set."""
    return tuple(name for name in SECTIONS[ruleset] if name not in _OTHERS)


def verify_section(ruleset: str, name: str, content: bytes, path: Sequence[bytes], app_hash: bytes) -> bool:
    """Whether `app_hash` commits to that content of a section, under a rule set of whatever name."""
    names = SECTIONS.get(ruleset, ())
    return name in names and verify_inclusion(
        _leaf(name, content), names.index(name), len(names), path, app_hash
    )


def counted(count: int, tree_root: bytes) -> bytes:
    """A number of leaves and the root over them, as sections have them."""
    return count.to_bytes(COUNT_SIZE_BYTES) + tree_root


def events_section(tree: Frontier) -> bytes:
    """The content of the section `events`."""
    return counted(tree.size, tree.root())


def event_leaf(height: int, time_ms: int, index: int, batch_digest: bytes) -> bytes:
    """An event's leaf in the ledger's tree: block height and time, its place in its batch, and the batch.

    Args:
        height: Of its block.
        time_ms: Of its block, milliseconds since 1970.
        index: Its place in the batch, from 0.
        batch_digest: SHA-256 of the batch's JWS, which commits to the event's content.
    """
    return height.to_bytes(8) + time_ms.to_bytes(8) + index.to_bytes(4) + batch_digest


def event_leaf_hashes(height: int, time_ms: int, count: int, batch_digest: bytes) -> list[bytes]:
    """The leaf hashes of all events of a batch; see `event_leaf`."""
    block, sha256 = b"\x00" + height.to_bytes(8) + time_ms.to_bytes(8), hashlib.sha256
    return [sha256(block + index.to_bytes(4) + batch_digest).digest() for index in range(count)]


def described_layout(ruleset: str) -> Mapping[str, object]:
    """What is hashed, for the digest of the rules."""
    further = {} if ruleset == RULESET_3 else _HASH_LAYOUT_4
    return {"sections": list(SECTIONS[ruleset]), **HASH_LAYOUT, **further}


def _leaf(name: str, content: bytes) -> bytes:
    return leaf_hash(name.encode("ascii") + b"\x00" + content)
