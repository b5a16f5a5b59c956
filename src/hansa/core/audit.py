"""The audit log: what this marketplace published, received, stored, skipped, served, refused and forwarded.

A record tells of one thing that was done with many entities at once, as a page of events that was followed,
and is a part of a chain: its hash is SHA-256 over the hash before it, its number, its time, its kind and
its content. So a record cannot be changed, removed or inserted without changing the hash of every one after
it, and the newest hash commits to the whole log. It is *anchored*: now and then it is announced on the
ledger, where nobody can change it any more, as the next version of an entity whose identifier follows from
the member's DID. So a member has one chain of anchors, which everybody can find without its help.

    altered, removed, inserted, reordered   the chain does not hold (`verified`)
    written anew, with hashes that fit      the records that were anchored are not in it (`AnchorCheck`)
    cut at its end                          the newest anchors are of no record in it
    continued from an older backup          likewise, for records that the backup did not have. The log says
                                            so itself (`restored`), and that is reported

What people do with buttons of the pages is in it, too (`acted`). A record names positions of the ledger,
members, pseudonyms and codes, and no person: who an entity is about, and who called, is not in it.

What was pruned is represented by the hash of the last record that was (`ChainStart`), so that the rest can be
verified. The module reads and verifies, and knows no store.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal, Protocol

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import NONCE_SIZE_BYTES, bound_entity_id

AuditKind = Literal[
    "published",
    "received",
    "retrieved",
    "skipped",
    "refused",
    "served",
    "forwarded",
    "carried-out",
    "acted",
    "anchored",
    "restored",
    "pruned",
]
RefusedRequest = Literal["entities", "write", "forwarded"]
"""Entities that a member requested; a write that it forwarded here; a write that was forwarded to it."""
ANCHOR_TYPE: Final = "AuditAnchor"
"""Type of the entity whose versions on the ledger are anchors. No member retrieves it."""
HASH_SIZE_BYTES: Final = 32
NO_HASH: Final = bytes(HASH_SIZE_BYTES)
"""Before the first record."""
_DOMAIN: Final = b"hansa-audit/1\0"
_ANCHOR_DOMAIN: Final = b"hansa-audit-anchor\0"

Range = tuple[int, int]
"""First and last position."""


class ChainStart(msgspec.Struct, frozen=True):
    """Where a log, or what is left of it, begins."""

    seq: int = 0
    """Of the last record before it."""
    hash: bytes = NO_HASH
    """Of that record."""


class AuditRecord(msgspec.Struct, frozen=True):
    """One record."""

    seq: int
    """From 1, without gaps."""
    time: str
    """RFC 3339, UTC."""
    kind: AuditKind
    content: bytes
    """Canonical JSON: an object."""
    hash: bytes


class AuditNotes(Protocol):
    """Takes note of what is served and forwarded, which writes nothing itself."""

    def served(self, member: str | None, positions: Iterable[int], count: int) -> None:
        """Entities that everybody may have were served. Written within seconds; a crash loses it.

        Args:
            member: DID of the member that signed the request; None: a stranger.
            positions: Of the events that announced them, as far as they are known.
            count: How many entities.
        """

    def refused(
        self, member: str | None, what: RefusedRequest, code: str, subject: str | None = None
    ) -> None:
        """Something was refused. Written within seconds; a crash loses it.

        Args:
            member: To whom, or by whom, of what was forwarded; None: to a stranger.
            what: What was requested.
            code: Why.
            subject: Pseudonym of the caller for whom it was requested.
        """

    def forwarded(self, member: str, subject: str, method: str, digest: str, position: int | None) -> None:
        """An origin carried out a write. Written within seconds; a crash loses it, and the origin has it.

        Args:
            member: The origin.
            subject: Pseudonym of the caller there.
            method: Of the write.
            digest: SHA-256 of the write as it was sent, hex.
            position: Of the event about it, when the origin named it.
        """

    async def recorded(self, member: str, positions: Iterable[int], authority: str) -> None:
        """Entities are about to be served that not everybody may have; returns when that is on record.

        Args:
            member: DID of the member that signed the request.
            positions: Of the events that announced them.
            authority: By which right it gets them, as `recipient`.

        Raises:
            Unavailable: It cannot be recorded, and must not be served.
        """


class NoNotes:
    """Takes no note."""

    def served(self, member: str | None, positions: Iterable[int], count: int) -> None:
        """Nothing."""
        del member, positions, count

    def refused(
        self, member: str | None, what: RefusedRequest, code: str, subject: str | None = None
    ) -> None:
        """Nothing."""
        del member, what, code, subject

    def forwarded(self, member: str, subject: str, method: str, digest: str, position: int | None) -> None:
        """Nothing."""
        del member, subject, method, digest, position

    async def recorded(self, member: str, positions: Iterable[int], authority: str) -> None:
        """Nothing."""
        del member, positions, authority


def chained(before: bytes, seq: int, time: str, kind: str, content: bytes) -> bytes:
    """The hash of a record after one with the hash `before`."""
    assert len(before) == HASH_SIZE_BYTES, "a chain is one of SHA-256"
    digest = hashlib.sha256(_DOMAIN + before + seq.to_bytes(8, "big"))
    for part in (time.encode(), kind.encode(), content):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def ranges(positions: Iterable[int]) -> list[Range]:
    """Positions as ranges without gaps, in order; what follows one another takes the room of two numbers."""
    result: list[Range] = []
    for position in sorted(set(positions)):
        if result and result[-1][1] == position - 1:
            result[-1] = (result[-1][0], position)
        else:
            result.append((position, position))
    return result


def verified(records: Iterable[AuditRecord], start: ChainStart) -> Iterator[AuditRecord]:
    """The records of a log, each after it was verified.

    Args:
        records: In order.
        start: Where they begin.

    Raises:
        Refused: `Code.PROOF_INVALID`, naming the first record that does not hold.
    """
    seq, before = start.seq, start.hash
    for record in records:
        if record.seq != seq + 1:
            raise invalid_log(f"record {seq + 1} is missing; {record.seq} comes after {seq}")
        if record.hash != chained(before, record.seq, record.time, record.kind, record.content):
            raise invalid_log(f"record {record.seq} is not the one that was written, or one before it is not")
        seq, before = record.seq, record.hash
        yield record


# -- anchors -----------------------------------------------------------------------------------------------


def anchor_nonce(did: str) -> bytes:
    """What binds the identifier of a member's anchors to it: the same always, so that it has one chain."""
    return hashlib.sha256(_ANCHOR_DOMAIN + did.encode()).digest()[:NONCE_SIZE_BYTES]


def anchor_id(did: str) -> str:
    """The identifier of the entity of which a member's anchors are versions."""
    return bound_entity_id(ANCHOR_TYPE, did, anchor_nonce(did))


class Anchor(msgspec.Struct, frozen=True):
    """A record that is announced on the ledger."""

    id: str
    """Identifier of the entity of which the anchor is a version."""
    seq: int
    """Of the record."""
    hash: str
    """Of the record, hex."""

    def body(self) -> bytes:
        """The entity, whose hashlink the ledger has."""
        return canonical_json({"@type": ANCHOR_TYPE, "hash": self.hash, "id": self.id, "seq": self.seq})

    @property
    def hashlink(self) -> str:
        """As the event on the ledger names it."""
        return hashlink(self.body())


class AnnouncedAnchor(msgspec.Struct, frozen=True):
    """An anchor as the ledger has it."""

    position: int
    time: str
    """Of its block, RFC 3339."""
    hashlink: str


class AnchoredLog(msgspec.Struct, frozen=True):
    """What the anchors on the ledger say of a log."""

    matched: int
    """Anchors that are of a record in it."""
    lost: int
    """Anchors of records that it says itself were lost when its store was restored."""
    last_seq: int
    """Of the newest record that is anchored."""
    last_time: str
    """When that was anchored."""


class AnchorCheck:
    """Compares the records of one member's log with the anchors that the ledger has of it.

    Args:
        did: The member.
        announced: Its anchors, in ledger order.
        start: Where the log begins.
    """

    def __init__(self, did: str, announced: Sequence[AnnouncedAnchor], start: ChainStart) -> None:
        self._id = anchor_id(did)
        self._announced = announced
        self._start = start
        self._names = frozenset(one.hashlink for one in announced)
        self._seqs: dict[str, int] = {}
        self._positions = sorted(one.position for one in announced)
        self._lost: set[int] = set()
        self._see(start.seq, start.hash)

    def see(self, record: AuditRecord) -> None:
        """The next record, verified.

        Raises:
            Refused: `Code.PROOF_INVALID`, when it tells of a loss in an unknown form.
        """
        self._see(record.seq, record.hash)
        if record.kind == "restored":
            self._lost.update(self._lost_anchors(record))

    def _see(self, seq: int, hash: bytes) -> None:
        link = Anchor(self._id, seq, hash.hex()).hashlink
        if link in self._names:
            self._seqs[link] = seq

    def _lost_anchors(self, record: AuditRecord) -> Iterator[int]:
        """Positions of the anchors that a record says were lost, or lie in the range that it names."""
        count = 0
        for first, last in _loss_of(record).positions:
            begin, end = bisect_left(self._positions, first), bisect_right(self._positions, last)
            count += max(0, end - begin)
            if count > _LOSS_MAX:
                raise invalid_log(f"record {record.seq} tells of more losses than there can be")
            yield from self._positions[begin:end]

    def report(self) -> AnchoredLog:
        """What the anchors say of the log, when all of it has been seen.

        Raises:
            Refused: `Code.PROOF_INVALID`: it is not the log that was anchored, or not all of it.
        """
        if not self._announced:
            raise invalid_log(
                "no anchor of it is on the ledger, so nothing shows that it was not written anew. A log that was begun within "
                "the last hour has none yet (audit_anchor_interval_s): verify it again then"
            )
        known = [one.hashlink in self._seqs for one in self._announced]
        if not any(known):
            raise invalid_log("no record in it is one of those that were anchored on the ledger")
        begin = known.index(True) if self._start.seq else 0  # anchors of what was pruned come before
        judged = list(zip(known, self._announced, strict=True))[begin:]
        lost = [one for is_known, one in judged if not is_known]
        unexplained = [one for one in lost if one.position not in self._lost]
        if unexplained:
            first = unexplained[0]
            raise invalid_log(
                f"the record that was anchored at position {first.position} ({first.time}) is not in it: it was "
                "written anew, or cut off"
            )
        last = [one for is_known, one in judged if is_known][-1]
        return AnchoredLog(len(judged) - len(lost), len(lost), self._seqs[last.hashlink], last.time)


class _Loss(msgspec.Struct, frozen=True):
    positions: tuple[Range, ...]


_LOSS_MAX: Final = 1_000_000


def _loss_of(record: AuditRecord) -> _Loss:
    try:
        return msgspec.json.decode(record.content, type=_Loss)
    except UNREADABLE as error:
        raise invalid_log(f"record {record.seq} tells of a loss in an unknown form") from error


# -- exports -----------------------------------------------------------------------------------------------


class LogStart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line of an export: whose log it is, and where it begins."""

    member: str
    """DID."""
    after: int
    """Number of the last record before it."""
    hash: str
    """Of that record, hex."""

    def line(self) -> bytes:
        """With its line feed."""
        return msgspec.json.encode(self) + b"\n"

    @property
    def chain(self) -> ChainStart:
        """Where the chain begins.

        Raises:
            Refused: `Code.PROOF_INVALID`.
        """
        try:
            start = ChainStart(self.after, bytes.fromhex(self.hash))
        except ValueError as error:
            raise invalid_log("its first line does not say where it begins") from error
        if len(start.hash) != HASH_SIZE_BYTES or start.seq < 0 or (start.seq == 0 and start.hash != NO_HASH):
            raise invalid_log("its first line does not say where it begins")
        return start


def read_start(raw: bytes) -> LogStart:
    """The first line of an export.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    try:
        return msgspec.json.decode(raw, type=LogStart)
    except UNREADABLE as error:
        raise invalid_log("its first line does not say where it begins") from error


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seq: int
    time: str
    kind: AuditKind
    content: msgspec.Raw
    hash: str


_line_decoder: Final = msgspec.json.Decoder(_Line)


def export_line(record: AuditRecord) -> bytes:
    """A record as a line of an export, with its line feed."""
    fields: dict[str, Any] = {
        "seq": record.seq,
        "time": record.time,
        "kind": record.kind,
        "content": msgspec.Raw(record.content),
        "hash": record.hash.hex(),
    }
    return msgspec.json.encode(fields) + b"\n"


def read_line(raw: bytes) -> AuditRecord:
    """The record of a line of an export, not verified.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    try:
        line = _line_decoder.decode(raw)
        record = AuditRecord(line.seq, line.time, line.kind, bytes(line.content), bytes.fromhex(line.hash))
    except (*UNREADABLE, ValueError) as error:
        raise invalid_log("a line is not of the form of a record") from error
    if not 0 < record.seq < 2**63:
        raise invalid_log("a line is not of the form of a record")
    return record


def invalid_log(what: str) -> Refused:
    """The error for a log that is not the one that was written."""
    return Refused(Code.PROOF_INVALID, f"The audit log does not hold: {what}.")
