"""A transaction that waits, and the chains of versions that it continues."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from hansa.core.events import LifecycleEvent, event_time_ms
from hansa.pubsub.ledger.rules.kind import Sender
from hansa.pubsub.ledger.state import NOTHING, Load, StateView
from hansa.pubsub.ledger_records import Claim


class LastVersion(NamedTuple):
    """The last version of an entity."""

    version: int = 0
    """0 before the first."""
    hashlink: str | None = None


class VersionChange(NamedTuple):
    """What an event does to the chain of its entity."""

    key: str
    version: int
    previous: str | None
    hashlink: str


class Waiting(msgspec.Struct, frozen=True):
    """A transaction that waits."""

    raw: bytes
    digest: bytes
    sender: Sender
    load: Load
    changes: tuple[VersionChange, ...]
    keys: frozenset[str]
    """Of the entities that it changes."""
    ids: frozenset[str]
    """Of its events."""
    first_time_ms: int
    """Earliest block time at which no event is too far ahead of it."""
    last_time_ms: int
    """Latest block time at which no event is too far behind it."""
    height: int
    """Of the last block when it began to wait."""


def as_waiting(
    raw: bytes, digest: bytes, sender: Sender, events: Sequence[LifecycleEvent], view: StateView
) -> Waiting:
    """A transaction that was judged valid, with the events that it commits."""
    changes = tuple(
        VersionChange(event.entity.key, event.entity.version, event.previous, event.hashlink)
        for event in events
    )
    times = [event.time for event in events]  # of one form, so that their order is that of the text
    params = view.params
    return Waiting(
        raw=raw,
        digest=digest,
        sender=sender,
        load=sender.load,
        changes=changes,
        keys=frozenset(change.key for change in changes),
        ids=frozenset(event.id for event in events),
        first_time_ms=event_time_ms(max(times)) - 1000 * params.event_ahead_max_s if times else 0,
        last_time_ms=event_time_ms(min(times)) + 1000 * params.event_behind_max_s if times else sys.maxsize,
        height=view.head.height,
    )


def total_load(queue: Iterable[Waiting]) -> Load:
    """What all that waits counts against quotas."""
    total = NOTHING
    for waiting in queue:
        total = total.plus(waiting.load)
    return total


def as_claim(did: str, change: VersionChange) -> Claim:
    """The claim on an entity after a change that is not committed yet."""
    return Claim(
        key=change.key,
        issuer=did,
        first_position=0,
        last_position=0,
        version=change.version,
        hashlink=change.hashlink,
        is_deleted=False,
    )


def last_version(claim: Claim | None) -> LastVersion:
    """The last version of an entity that is committed."""
    return LastVersion() if claim is None else LastVersion(claim.version, claim.hashlink)


def last_version_waiting(queue: Iterable[Waiting], key: str) -> LastVersion | None:
    """The end of an entity's chain after what waits, if something of it does."""
    ends = [
        LastVersion(change.version, change.hashlink)
        for waiting in queue
        if key in waiting.keys
        for change in waiting.changes
        if change.key == key
    ]
    return ends[-1] if ends else None


def continued(ends: dict[str, LastVersion], waiting: Waiting) -> dict[str, LastVersion] | None:
    """The ends of these chains after a transaction; None when it does not continue them."""
    after: dict[str, LastVersion] = {}
    if waiting.keys.isdisjoint(ends):
        return after
    for change in waiting.changes:
        end = after.get(change.key) or ends.get(change.key)
        if end is None:
            continue
        if (change.version, change.previous) != (end.version + 1, end.hashlink):
            return None
        after[change.key] = LastVersion(change.version, change.hashlink)
    return after
