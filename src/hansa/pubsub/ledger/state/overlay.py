"""Changes on top of a state that are not committed yet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from hansa.core.batches import Batch
from hansa.core.errors import Refused
from hansa.core.events import LifecycleEvent
from hansa.core.members import MEMBER, Member
from hansa.pubsub.ledger.commitments.app_hash import RULESET_3, event_leaf_hashes, record_sections
from hansa.pubsub.ledger.commitments.state_trees import (
    ISSUERS,
    REGISTRY,
    VALIDATORS,
    Records,
    StateTrees,
)
from hansa.pubsub.ledger.commitments.state_trees import MISBEHAVIOR as MISBEHAVIOR_SECTION
from hansa.pubsub.ledger.commitments.stored import (
    ISSUER,
    MISBEHAVIOR,
    VALIDATOR,
    IssuerState,
    ValidatorRecord,
)
from hansa.pubsub.ledger.genesis import PARAMETERS, LedgerParams
from hansa.pubsub.ledger.state.view import BlockEffects, Head, NewBatch, NewEvent, StateView
from hansa.pubsub.ledger_records import Claim, Misbehavior

_TYPED: Final = frozenset({REGISTRY, ISSUERS, VALIDATORS, MISBEHAVIOR_SECTION})


class Overlay:
    """A state with changes on top that are not (yet) part of it. The state below stays as it is.

    Args:
        below: What it lies on.
        height: Of the block that is judged.
        time_ms: Time of that block, milliseconds since 1970.
    """

    def __init__(self, below: StateView, height: int, time_ms: int) -> None:
        self._below = below
        self.height = height
        self._time_ms = time_ms
        self._position = below.position
        self._issuers: dict[str, IssuerState] = {}
        self._batches: list[NewBatch] = []
        self._ids: set[tuple[str, str]] = set()
        self._claims: dict[str, dict[str, Claim]] = {}
        """By issuer and key."""
        self._members: dict[str, Member] = {}
        self._events: list[NewEvent] = []
        self._validators: dict[str, ValidatorRecord] = {}
        self._misbehavior: dict[str, Misbehavior] = {}
        self._ruleset = below.ruleset
        self._params = below.params
        self._records: dict[str, dict[str, bytes | None]] = {}
        self._claims_below: dict[str, dict[str, Claim | None]] = {}
        """Those that were read of the state below, so that each is read once."""

    @property
    def head(self) -> Head:
        """The ledger in short, after the last whole block."""
        return self._below.head

    @property
    def trees(self) -> StateTrees:
        """What `app_hash` commits to: that of the last whole block."""
        return self._below.trees

    @property
    def position(self) -> int:
        """Position of the newest event, with those on top."""
        return self._position

    @property
    def params(self) -> LedgerParams:
        """The ledger's limits."""
        return self._params

    @property
    def ruleset(self) -> str:
        """Name of the rule set that judges."""
        return self._ruleset

    def record(self, section: str, key: str) -> bytes | None:
        """A record of a section, as it is stored."""
        changed = self._records.get(section, {})
        return changed[key] if key in changed else self._below.record(section, key)

    def records(self, section: str) -> Mapping[str, bytes]:
        """All records of a section, in the order of their keys."""
        changed = self._records.get(section)
        if not changed:
            return self._below.records(section)
        merged = {**self._below.records(section), **changed}
        return {key: body for key in sorted(merged) if (body := merged[key]) is not None}

    @property
    def time_ms(self) -> int:
        """Time of the block that is judged."""
        return self._time_ms

    @property
    def members(self) -> tuple[Member, ...]:
        """The registry, ordered by DID."""
        if not self._members:
            return self._below.members
        by_did = {member.did: member for member in self._below.members} | self._members
        return tuple(by_did[did] for did in sorted(by_did))

    @property
    def validators(self) -> Mapping[str, ValidatorRecord]:
        """Every validator since the genesis, by its address."""
        return {**self._below.validators, **self._validators} if self._validators else self._below.validators

    def has_misbehavior(self, evidence_id: str) -> bool:
        """Whether that evidence is recorded."""
        return evidence_id in self._misbehavior or self._below.has_misbehavior(evidence_id)

    @property
    def events(self) -> tuple[NewEvent, ...]:
        """The events on top."""
        return tuple(self._events)

    def member(self, did: str) -> Member | None:
        """The member with that DID."""
        return self._members.get(did) or self._below.member(did)

    def issuer(self, did: str) -> IssuerState:
        """What is remembered of an issuer's batches."""
        return self._issuers.get(did) or self._below.issuer(did)

    def upper(self) -> Overlay:
        """An empty overlay on this one, for a transaction."""
        return Overlay(self, self.height, self._time_ms)

    def has_event(self, issuer: str, event_id: str) -> bool:
        """Whether the issuer has used that event id."""
        return (issuer, event_id) in self._ids or self._below.has_event(issuer, event_id)

    def claim(self, issuer: str, key: str) -> Claim | None:
        """The issuer's claim on an entity key."""
        return self.claims(issuer, (key,)).get(key)

    def claims(self, issuer: str, keys: Sequence[str]) -> Mapping[str, Claim]:
        """The issuer's claims on those of the entity keys that it has some on."""
        below = self._claims_below.setdefault(issuer, {})
        unread = [key for key in keys if key not in below]
        if unread:
            below |= dict.fromkeys(unread)
            below |= self._below.claims(issuer, unread)
        changed = self._claims.get(issuer, {})
        return {key: claim for key in keys if (claim := changed.get(key) or below[key]) is not None}

    def presume(self, issuer: IssuerState, claims: Sequence[Claim] = ()) -> None:
        """Judge what comes next as if this were committed. Such an overlay is no block's."""
        assert not self._batches, "what is presumed comes first"
        self._issuers[issuer.did] = issuer
        for claim in claims:
            self._claims.setdefault(claim.issuer, {})[claim.key] = claim

    def append_batch(
        self,
        jws: str,
        batch: Batch,
        issuer: IssuerState,
        contents: Sequence[bytes],
        events: Sequence[LifecycleEvent],
    ) -> None:
        """Put a checked batch at the end of the ledger; nothing is changed when a claim cannot be read.

        Args:
            jws: As it was signed.
            batch: What was signed.
            issuer: What is remembered of its issuer after it.
            contents: Of its events, in their order.
            events: What these say.
        """
        assert issuer.did == batch.issuer, "a batch changes what is remembered of its issuer"
        assert batch.seq > self.issuer(batch.issuer).seq, "the batches of an issuer are in order"
        assert 0 < batch.count == len(contents) == len(events), "a batch has an event, and all that it says"
        did, first = batch.issuer, self._position + 1
        before = self.claims(did, [event.entity.key for event in events])
        self._issuers[did] = msgspec.structs.replace(issuer, seq=batch.seq)
        self._batches.append(NewBatch(jws, did, batch.seq, first, batch.count, self.height, self._time_ms))
        self._position += batch.count
        self._events += map(NewEvent, range(first, first + batch.count), contents, events)
        changed = self._claims.setdefault(did, {})
        for position, event in enumerate(events, first):
            entity = event.entity
            key = entity.key
            last = changed.get(key) or before.get(key)
            begun = position if last is None else last.first_position
            changed[key] = Claim(key, did, begun, position, entity.version, event.hashlink, event.is_delete)
        if self._ruleset == RULESET_3:
            self._ids |= {(did, event.id) for event in events}

    def put_member(self, member: Member) -> None:
        """Add a member to the registry, or put it in place of the one with its DID."""
        assert member.keys, "a member has a key"
        assert member.power >= 0, "voting power is not negative"
        self._members[member.did] = member

    def put_validator(self, validator: ValidatorRecord) -> None:
        """Add a validator, or change the power of one."""
        assert validator.power >= 0, "voting power is not negative"
        self._validators[validator.address] = validator

    def put_issuer(self, issuer: IssuerState) -> None:
        """Remember of an issuer what another state remembers of it."""
        self._issuers[issuer.did] = issuer

    def put_misbehavior(self, misbehavior: Misbehavior) -> None:
        """Record evidence as another state has it."""
        assert misbehavior.recorded_height > 0, "another state has recorded it"
        self._misbehavior[misbehavior.evidence_id] = misbehavior

    def put_record(self, section: str, key: str, body: bytes | None) -> None:
        """Add a record, put it in place of the one with its key, or remove it.

        Args:
            section: One without a type of its own here.
            key: In the section.
            body: Its one byte string; None: it is removed.
        """
        assert section in record_sections(self._ruleset), "the rule set has the section"
        assert section not in _TYPED, "sections with a type of their own have their own methods"
        self._records.setdefault(section, {})[key] = body

    def put_params(self, params: LedgerParams) -> None:
        """Change the ledger's limits, from the next transaction on."""
        PARAMETERS.check(params)
        self._params = params

    def put_ruleset(self, ruleset: str) -> None:
        """Go on under another rule set, which has all sections of this one."""
        assert set(record_sections(self._ruleset)) <= set(record_sections(ruleset)), "no section is dropped"
        self._ruleset = ruleset

    def record_misbehavior(self, misbehavior: Misbehavior) -> None:
        """Record evidence."""
        assert not self.has_misbehavior(misbehavior.evidence_id), "evidence is recorded once"
        self._misbehavior[misbehavior.evidence_id] = msgspec.structs.replace(
            misbehavior, recorded_height=self.height
        )

    def absorb(self, upper: Overlay) -> None:
        """Take over everything from an overlay that lies on this one."""
        assert upper._below is self, "only what was checked on top of this state can become part of it"
        assert upper._position == self._position + len(upper._events), "every event has a position"
        self._position = upper._position
        self._ids |= upper._ids
        for did, claims in upper._claims.items():
            self._claims.setdefault(did, {}).update(claims)
        self._members |= upper._members
        self._issuers |= upper._issuers
        self._batches += upper._batches
        self._events += upper._events
        self._validators |= upper._validators
        self._misbehavior |= upper._misbehavior
        self._ruleset, self._params = upper._ruleset, upper._params
        for section, changed in upper._records.items():
            self._records.setdefault(section, {}).update(changed)

    def effects(self, refusals: Sequence[Refused | None]) -> BlockEffects:
        """The changes as those of the block."""
        assert self._below.position == self._below.head.position, "a block is put on what is committed"
        leaves = [leaf for batch in self._batches for leaf in _leaf_hashes(batch)]
        tree = self._below.head.tree.extended(leaves)
        claims = tuple(claim for changed in self._claims.values() for claim in changed.values())
        trees = self._below.trees.updated(tree, leaves, claims, self._stored(), self._replaced())
        return BlockEffects(
            head=Head(self.height, self._time_ms, tree, trees.sections.app_hash),
            batches=tuple(self._batches),
            issuers=tuple(self._issuers.values()),
            events=tuple(self._events),
            claims=claims,
            members=tuple(self._members.values()),
            validators=tuple(self._validators.values()),
            misbehavior=tuple(self._misbehavior.values()),
            records={section: dict(changed) for section, changed in self._records.items()},
            params=self._params,
            refusals=tuple(refusals),
            trees=trees,
        )

    def _replaced(self) -> Mapping[str, bytes]:
        """New contents of the sections without records."""
        replaced: dict[str, bytes] = {}
        if self._ruleset != self._below.ruleset:
            replaced["ruleset"] = self._ruleset.encode("ascii")
        if self._params != self._below.params:
            replaced["parameters"] = PARAMETERS.write(self._params)
        return replaced

    def _stored(self) -> Records:
        """The changed records of the sections that have records, as they are stored."""
        records: dict[str, Mapping[str, bytes | None]] = {
            **self._records,
            REGISTRY: {did: MEMBER.write(member) for did, member in self._members.items()},
            ISSUERS: {did: ISSUER.write(issuer) for did, issuer in self._issuers.items()},
            VALIDATORS: {address: VALIDATOR.write(one) for address, one in self._validators.items()},
            MISBEHAVIOR_SECTION: {key: MISBEHAVIOR.write(one) for key, one in self._misbehavior.items()},
        }
        return {name: changed for name, changed in records.items() if changed}


def _leaf_hashes(batch: NewBatch) -> list[bytes]:
    """Of the events of a batch, in the ledger's tree."""
    digest = hashlib.sha256(batch.jws.encode("ascii")).digest()
    return event_leaf_hashes(batch.height, batch.time_ms, batch.count, digest)
