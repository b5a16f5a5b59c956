"""The ledger's state in a file of its own, made of parts that were verified.

It is the file that a ledger application has (`hansa.pubsub.ledger.storage`), so everything that reads a
ledger reads this one. It is not made by judging transactions: an update has the events, the records of the
sections that differ, and the header that signs the whole. What they give together, the trees and the root, is
compared with the application hash before it is committed; until then the file is what it was.

A long way to go is written in steps within one transaction of SQLite, so memory stays flat; a source that
turns out to have lied at the end has cost time and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Final

import msgspec

from hansa.core.batches import contents_root, read_batch
from hansa.core.errors import Code, Refused
from hansa.core.events import decode_event
from hansa.core.members import MEMBER
from hansa.pubsub.ledger.commitments.app_hash import RULESET_3, SECTIONS, Sections, counted, record_sections
from hansa.pubsub.ledger.commitments.state_trees import (
    ISSUERS,
    REGISTRY,
    VALIDATORS,
    record_tree,
)
from hansa.pubsub.ledger.commitments.state_trees import (
    MISBEHAVIOR as MISBEHAVIOR_SECTION,
)
from hansa.pubsub.ledger.commitments.stored import ISSUER, MISBEHAVIOR, VALIDATOR
from hansa.pubsub.ledger.genesis import PARAMETERS
from hansa.pubsub.ledger.history.segment import SEGMENT_EVENTS, HistoryBatch
from hansa.pubsub.ledger.reading.parts import StateParts, section_tag
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.state import BlockEffects, Overlay
from hansa.pubsub.ledger.storage.tree_tables import TreeTables
from hansa.pubsub.light.chain.blocks import LightBlock

NS_PER_MS: Final = 1_000_000
TIME_MS_MAX: Final = 2**53 - 1
_COUNT_SIZE_BYTES: Final = 8
_COUNTED_SIZE_BYTES: Final = 40

_Stage = Callable[[BlockEffects, bool], None]
SectionRecords = Mapping[str, Mapping[str, bytes]]
"""Records by section and key."""


class _Abandoned(Exception):
    """An update comes to nothing."""


class VerifiedState(msgspec.Struct, frozen=True):
    """What an update leads to: the contents of all sections, and the header that signs them."""

    sections: Sections
    records: SectionRecords
    """Of the sections that differ from what is here."""
    block: LightBlock

    @property
    def height(self) -> int:
        """Of the state: its header is that of the next height."""
        return self.block.height - 1

    @property
    def events(self) -> int:
        """How many events it has."""
        return event_count(self.sections)


def sections_of(parts: StateParts) -> Sections:
    """The sections of a state in parts; whether they are what was signed, their `app_hash` tells.

    Raises:
        Refused: `Code.PROOF_INVALID`; `Code.UPGRADE_NEEDED`, when this release does not know the rules.
    """
    contents = parts.contents
    ruleset = contents.get("ruleset", b"").decode("ascii", "replace")
    names = SECTIONS.get(ruleset)
    if names is None:
        raise Refused(
            Code.UPGRADE_NEEDED,
            f"The league goes on by the rules {ruleset[:64]!r}, which this release does not have.",
        )
    if tuple(one.name for one in parts.sections) != names:
        raise wrong("its state has other sections than the rules say")
    counted_names = ("events", *record_sections(ruleset))
    if any(len(contents[name]) != _COUNTED_SIZE_BYTES for name in counted_names):
        raise wrong("a section of its state is not in its form")
    return Sections(contents)


def event_count(sections: Sections) -> int:
    """How many events a state has."""
    return int.from_bytes(sections.content("events")[:_COUNT_SIZE_BYTES])


def missing_records(sections: Sections, known: Sections, fetched: SectionRecords) -> tuple[str, ...]:
    """The sections that differ from what is known, and whose records are not there."""
    names = record_sections(sections.ruleset)
    before = set(record_sections(known.ruleset))
    return tuple(
        name
        for name in names
        if (name not in before or sections.content(name) != known.content(name)) and name not in fetched
    )


def tags_of(sections: Sections) -> str:
    """What is known, for a member that is asked for a state."""
    return "".join(section_tag(name, sections.content(name)) for name in record_sections(sections.ruleset))


def check_records(sections: Sections, name: str, records: Mapping[str, bytes]) -> None:
    """Check that records are those of a section.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    tree = record_tree(name, records)
    if counted(tree.count, tree.root) != sections.content(name):
        raise wrong(f"the records of its section {name} are others than it shows")


class MirrorUpdate:
    """An update on its way into the file. Blocking; used by one thread at a time.

    Args:
        state: Is changed when all of it is there and holds, and else stays as it is.
        target: What it leads to.
        stage_events: How many events are in memory at most.
        is_begun: Whether a snapshot is in the state that is not committed yet; it is committed with the
            update.
    """

    def __init__(
        self,
        state: SqliteState,
        target: VerifiedState,
        stage_events: int = SEGMENT_EVENTS,
        *,
        is_begun: bool = False,
    ) -> None:
        self._state = state
        self._target = target
        self._is_begun = is_begun
        self._stage_events = stage_events
        self._pending: list[HistoryBatch] = []
        self._pending_events = 0
        self._staged: tuple[AbstractContextManager[_Stage], _Stage] | None = None
        self.position = state.head.position
        """Of the last event that has come."""
        row = state.connection.execute("SELECT coalesce(max(height), 0) FROM block").fetchone()
        self._height = int(row[0]) if row is not None else 0
        if target.events < self.position:
            raise wrong(f"its state has {target.events:,} events, and {self.position:,} were verified before")
        if target.height < state.head.height:
            raise wrong("its state is older than what was verified before")

    @property
    def is_whole(self) -> bool:
        """Whether all events have come."""
        return self.position == self._target.events

    def add(self, batches: Sequence[HistoryBatch]) -> None:
        """Add the next batches: those of the next `SEGMENT_EVENTS` positions, or all that are left.

        Raises:
            Refused: `Code.PROOF_INVALID`: they do not follow; `Code.NOT_FOUND`: they are too few.
            Fatal: `Code.DISK_FULL`, `Code.STORE_DAMAGED`.
        """
        needed = min(self._target.events, self.position + SEGMENT_EVENTS)
        for batch in batches:
            if self.is_whole:
                break
            self._check_place(batch)
            if self._pending_events >= self._stage_events and batch.height > self._height:
                self._stage()
            self._pending.append(batch)
            self._pending_events += len(batch.contents)
            self._height = batch.height
            self.position = batch.end - 1
        if self.position < needed:
            raise Refused(
                Code.NOT_FOUND,
                f"It shows {self._target.events:,} events, and gives them up to {self.position:,}.",
            )

    def finish(self) -> None:
        """Compare the whole with what was signed, and commit it.

        Raises:
            Refused: `Code.PROOF_INVALID`: it is something else; nothing is written.
            Fatal: `Code.DISK_FULL`, `Code.STORE_DAMAGED`.
        """
        assert self.is_whole, "all events have come"
        target = self._target
        overlay = self._overlay()
        _put_sections(overlay, self._state, target)
        effects = overlay.effects(())
        differing = _differing(effects.trees.sections, target.sections)
        if differing or effects.head.app_hash != target.block.header.app_hash:
            raise wrong(f"what it gave makes other {differing or 'sections'} than were signed")
        is_last = bool(effects.events) and effects.batches[-1].height == target.height
        if self._staged is None:
            with self._state.staged(is_begun=self._is_begun) as stage:
                stage(effects, is_last)
            return
        (staged, stage), self._staged = self._staged, None
        try:
            stage(effects, is_last)
        except BaseException as error:
            staged.__exit__(type(error), error, error.__traceback__)
            raise
        staged.__exit__(None, None, None)

    def abandon(self) -> None:
        """Leave the file as it was."""
        if self._staged is not None:
            (staged, _), self._staged = self._staged, None
            with suppress(_Abandoned):
                staged.__exit__(_Abandoned, _Abandoned(), None)

    # -- steps -----------------------------------------------------------------------------------------------

    def _check_place(self, batch: HistoryBatch) -> None:
        """Check what needs no hash, so that nothing impossible is written even for a while."""
        is_next = batch.first_position == self.position + 1 and batch.end - 1 <= self._target.events
        first = not self._pending
        is_later = batch.height > self._height or (batch.height == self._height and not first)
        is_possible = is_later and batch.height <= self._target.height and batch.time_ms <= TIME_MS_MAX
        if not is_next or not is_possible:
            raise wrong(f"a batch is not where the one before it ends, at position {self.position:,}")

    def _stage(self) -> None:
        """Write what has come, to be committed with the rest or not at all."""
        effects = self._overlay().effects(())
        if self._staged is None:
            staged = self._state.staged(is_begun=self._is_begun)
            self._staged = staged, staged.__enter__()
        self._staged[1](effects, False)
        self._pending, self._pending_events = [], 0

    def _overlay(self) -> Overlay:
        """The state with the batches that are pending."""
        target = self._target
        base = Overlay(self._state, target.height, target.block.header.time_ns // NS_PER_MS)
        for blocks in _by_height(self._pending):
            upper = Overlay(base, blocks[0].height, blocks[0].time_ms)
            for batch in blocks:
                _add_batch(upper, batch)
            base.absorb(upper)
        return base


def _by_height(batches: Sequence[HistoryBatch]) -> Iterable[list[HistoryBatch]]:
    """Batches of one block after another."""
    block: list[HistoryBatch] = []
    for batch in batches:
        if block and batch.height != block[0].height:
            yield block
            block = []
        if block and batch.time_ms != block[0].time_ms:
            raise wrong(f"block {batch.height:,} has two times")
        block.append(batch)
    if block:
        yield block


def _add_batch(state: Overlay, batch: HistoryBatch) -> None:
    """Add a batch as it was committed; nothing is judged but that it is whole.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    try:
        signed, _ = read_batch(batch.jws)
        events = [decode_event(content, signed.issuer) for content in batch.contents]
    except Refused as error:
        raise wrong(f"the batch at position {batch.first_position:,} cannot be read") from error
    is_signed = signed.count == len(events) and contents_root(batch.contents).hex() == signed.root
    issuer = state.issuer(signed.issuer)
    if not is_signed or signed.seq <= issuer.seq:
        raise wrong(f"the batch at position {batch.first_position:,} is not what its issuer signed")
    ids = {event.id for event in events}
    is_used = state.ruleset == RULESET_3 and any(state.has_event(signed.issuer, one) for one in ids)
    if len(ids) < len(events) or is_used:
        raise wrong(f"the batch at position {batch.first_position:,} has an event that is there already")
    state.append_batch(batch.jws, signed, issuer, batch.contents, events)


def _put_sections(overlay: Overlay, state: SqliteState, target: VerifiedState) -> None:
    """Put the records that differ into an overlay.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    sections = target.sections
    if not set(record_sections(state.ruleset)) <= set(record_sections(sections.ruleset)):
        raise wrong("the rules of its state are older than those that were verified before")
    try:
        if sections.ruleset != state.ruleset:
            overlay.put_ruleset(sections.ruleset)
        parameters = PARAMETERS.read(sections.content("parameters"))
        if parameters != state.params:
            overlay.put_params(parameters)
        tables = TreeTables(state.connection)
        for name, records in target.records.items():
            before = dict(tables.records(name))
            for key in sorted(before.keys() | records.keys()):
                body = records.get(key)
                if body != before.get(key):
                    _put_record(overlay, name, key, body)
    except Refused as error:
        if error.code is Code.PROOF_INVALID:
            raise
        raise wrong(f"a record of its state is not in its form: {error.message.rstrip('.')}") from error


def _put_record(overlay: Overlay, section: str, key: str, body: bytes | None) -> None:
    """Put one record, in the type that its section has."""
    if section not in _TYPED:
        overlay.put_record(section, key, body)
        return
    if body is None:
        raise wrong(f"its section {section} lacks a record that was there")
    if section == REGISTRY:
        member = MEMBER.read(body)
        name = member.did
        overlay.put_member(member)
    elif section == ISSUERS:
        issuer = ISSUER.read(body)
        name = issuer.did
        overlay.put_issuer(issuer)
    elif section == VALIDATORS:
        validator = VALIDATOR.read(body)
        name = validator.address
        overlay.put_validator(validator)
    else:
        misbehavior = MISBEHAVIOR.read(body)
        name = misbehavior.evidence_id
        overlay.put_misbehavior(misbehavior)
    if name != key:
        raise wrong(f"a record of its section {section} has another key than it names")


_TYPED: Final = frozenset({REGISTRY, ISSUERS, VALIDATORS, MISBEHAVIOR_SECTION})


def _differing(made: Sections, signed: Sections) -> str | None:
    """The first section that is another one than was signed."""
    if made.ruleset != signed.ruleset:
        return "ruleset"
    return next((name for name in signed.names if made.content(name) != signed.content(name)), None)


def wrong(reason: str) -> Refused:
    """What a source gave does not hold."""
    return Refused(Code.PROOF_INVALID, f"What it gives does not hold: {reason}.")
