"""Proofs about the ledger: what they consist of. `hansa.pubsub.ledger.commitments.proofs` verifies them.

Each leads to one application hash. That of the state after block n is in the header of block n + 1, which the
validators have signed. All hashes are in hex.
"""

from __future__ import annotations

from typing import Final

import msgspec


class SectionProof(msgspec.Struct, frozen=True):
    """Shows the content of a section of the state."""

    height: int
    """Of the last block of the state."""
    ruleset: str
    """Name of the rule set that judged the state, which says where its sections are."""
    app_hash: str
    content: str
    """A number of 8 bytes and a root, or a root alone; hex."""
    path: tuple[str, ...]
    """From the section's leaf to `app_hash`."""


class InclusionProof(msgspec.Struct, frozen=True):
    """Shows when an event was committed, as which one, and in which batch."""

    position: int
    """Of the event, from 1."""
    block_height: int
    block_time_ms: int
    """Milliseconds since 1970."""
    batch: str
    """SHA-256 of the batch's JWS."""
    index: int
    """Place of the event in its batch, from 0."""
    path: tuple[str, ...]
    """From the event's leaf to the root of all events."""
    section: SectionProof
    """Of `events`."""


class ConsistencyProof(msgspec.Struct, frozen=True):
    """Shows that the ledger has all events of an earlier ledger, at the same positions."""

    earlier_size: int
    """Events of the earlier one."""
    earlier_root: str
    """Root of its events."""
    path: tuple[str, ...]
    section: SectionProof
    """Of `events`."""


class ClaimsProof(msgspec.Struct, frozen=True):
    """Shows which versions of an entity are the latest, of every issuer; or that its key is unknown."""

    key: str
    bucket: str
    """Records of the claims on the keys that begin as this one; hex."""
    path: tuple[str, ...]
    """From the bucket to the root of the claims."""
    section: SectionProof
    """Of `claims`."""


class StoredCheckpoint(msgspec.Struct, frozen=True):
    """Leads from the events' tree to the application hash of the state of a height."""

    height: int
    events: int
    """Number of the events at that height."""
    ruleset: str
    path: tuple[str, ...]
    """From the section `events` to the application hash."""


class HistoryRequest(msgspec.Struct, frozen=True):
    """Which records of the section `history` are shown."""

    keys: tuple[tuple[str, str], ...] = ()
    """DIDs and names of signing keys; those that are not there are passed over."""
    member: str | None = None
    """DID of a member of whom everything is shown."""


NO_HISTORY: Final = HistoryRequest()


class ShownRecord(msgspec.Struct, frozen=True):
    """A record of a section, and its place."""

    index: int
    """From 0, in the order of the keys."""
    key: str
    record: str
    """Its bytes; hex."""


class HistoryProof(msgspec.Struct, frozen=True):
    """Shows records of the section `history`: which keys and endpoints members had at which positions."""

    size: int
    """Number of the section's records."""
    records: tuple[ShownRecord, ...]
    path: tuple[str, ...]
    """Roots of the rest of the section's tree, in order (`hansa.core.merkle.subset_proof`)."""
    section_path: tuple[str, ...]
    """From the section to the application hash."""


class StateProofs(msgspec.Struct, frozen=True):
    """Proofs about some events, the claims on a key, and members' history, that lead to one state."""

    app_hash: str
    ruleset: str
    size: int
    """Number of the events."""
    root: str
    """Root of all events."""
    events: tuple[InclusionProof, ...]
    events_path: tuple[str, ...]
    """From the section `events` to `app_hash`."""
    claims: ClaimsProof | None
    history: HistoryProof | None
    """None where the rule set has no such section."""
