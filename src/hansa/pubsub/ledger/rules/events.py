"""Transactions of kind `events`: a batch of one issuer's lifecycle events, all of them or none.

    {"kind":"events","batch":"<JWS>","events":[<content>, ...]}

`batch` is what the issuer signed (`hansa.core.batches`): its DID, the number of the batch, the number of
events, and the Merkle root over their contents.

What is checked, in this order. By the first bytes alone: the form of the batch, that its issuer is an active
member, and that its `seq` is greater than that of the issuer's last batch, so that replays, subsets and
look-alikes cost one look-up. Of the batch: the number of events, the size and the form of each, that they
are those that were signed, the issuer's quotas, and the signature, by a key of the issuer's. Then of one
event after another, against the state: its id was not used before, its time is near the block's, and the
version continues the entity's chain.

Whether an id was used: under `hansa-ledger/3` by a look-up among all events of the issuer, which takes the
whole history. Since `hansa-ledger/4` the id has to be the one that belongs to the version
(`hansa.core.events.event_id`), and a version is on the ledger once: who has the state can judge, and needs no
history (docs/decisions/0035).

Ids and entity keys are bound to their issuer. A ledger cannot check that an entity key is the hash of the
issuer's DID and an identifier it does not know; were a key (or an id) taken by whoever commits it first,
seeing an event on its way would be enough to take it from its rightful owner (docs/decisions/0003).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec

from hansa.core.batches import EVENTS_MAX, Batch, contents_root, read_batch
from hansa.core.closed_json import ListOf, Record, Text, WithBytes
from hansa.core.errors import Code, Refused
from hansa.core.events import (
    CONTENT_PARTS,
    CONTENT_PARTS_3,
    ContentParts,
    EventParts,
    LifecycleEvent,
    event_id_at,
    event_of_parts,
    event_time_ms,
)
from hansa.core.jws import CompactJws
from hansa.core.keys import PublicJwk
from hansa.pubsub.ledger.commitments.app_hash import RULESET_3
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.results import FORM as TRANSACTION_FORM
from hansa.pubsub.ledger.results import Rule
from hansa.pubsub.ledger.rules.certificates import EXPIRED, REVOKED, check_publishing_key
from hansa.pubsub.ledger.rules.kind import CheckContext, Kind, Sender
from hansa.pubsub.ledger.rules.policies import POLICY_RULES, check_policies
from hansa.pubsub.ledger.rules.quotas import RULES as QUOTA_RULES
from hansa.pubsub.ledger.rules.quotas import check_quotas, spend
from hansa.pubsub.ledger.state import Load, Overlay, StateView

BATCH_JWS_PATTERN: Final = "[A-Za-z0-9_.-]{1,2048}"
"""Longer than any batch of a DID and of a key name of their greatest lengths."""

FORM: Final = Rule(1, Code.EVENT_MALFORMED, "an event is not of the form that ARCHITECTURE.md describes")
SIZE: Final = Rule(2, Code.EVENT_TOO_LARGE, "an event exceeds `event_size_max_bytes`")
ISSUER: Final = Rule(3, Code.EVENT_ISSUER_UNKNOWN, "the batch's issuer is not a member")
SIGNATURE: Final = Rule(
    4, Code.EVENT_SIGNATURE_INVALID, "the signature does not verify with the key of the issuer that it names"
)
DUPLICATE: Final = Rule(5, Code.EVENT_DUPLICATE, "the issuer has used an event's id before")
ID: Final = Rule(30, Code.EVENT_MALFORMED, "an event's id is not the one that belongs to its version")
VERSION: Final = Rule(
    7, Code.EVENT_VERSION_BROKEN, "an event's `version` is not the one after the entity's last"
)
SUSPENDED: Final = Rule(10, Code.EVENT_ISSUER_UNKNOWN, "the batch's issuer is suspended")
KEY: Final = Rule(11, Code.EVENT_SIGNATURE_INVALID, "the batch's issuer has no key of the name in `kid`")
PREVIOUS: Final = Rule(
    12, Code.EVENT_VERSION_BROKEN, "an event's `previous` is not the hashlink of the entity's last version"
)
DELETION: Final = Rule(
    13, Code.EVENT_VERSION_BROKEN, "the hashlink of a deletion is that of another version than the last"
)
COUNT: Final = Rule(
    16, Code.TRANSACTION_TOO_LARGE, "the transaction has more than `events_per_transaction_max` events"
)
SEQUENCE: Final = Rule(
    19, Code.BATCH_OUTDATED, "the batch's `seq` is not greater than that of its issuer's last batch"
)
ROOT: Final = Rule(20, Code.TRANSACTION_MALFORMED, "the events are not those that the batch's issuer signed")
AHEAD_OF_TIME: Final = Rule(
    21, Code.EVENT_TIME_WRONG, "an event's `time` is more than `event_ahead_max_s` after the block's"
)
BEHIND_TIME: Final = Rule(
    22, Code.EVENT_TIME_WRONG, "an event's `time` is more than `event_behind_max_s` before the block's"
)

RULES: Final = (
    *(FORM, SIZE, ISSUER, SIGNATURE, DUPLICATE, VERSION, SUSPENDED, KEY, PREVIOUS, DELETION, COUNT),
    *(SEQUENCE, ROOT, AHEAD_OF_TIME, BEHIND_TIME),
    *QUOTA_RULES,
)


class EventsTransaction(msgspec.Struct, frozen=True):
    """A batch of one issuer's lifecycle events: all of them or none."""

    batch: str
    """Compact JWS."""
    events: tuple[tuple[bytes, EventParts], ...]
    """Contents, each with what it says, in the order in which they take their positions; at least one."""


class BatchStep(msgspec.Struct, frozen=True):
    """A batch with its events, and all of them that follows from the bytes alone."""

    jws: str
    batch: Batch
    parts: CompactJws
    load: Load
    contents: tuple[bytes, ...]
    events: tuple[LifecycleEvent, ...]
    times_ms: tuple[int, ...]
    """Of the events, milliseconds since 1970."""
    first_time_ms: int
    last_time_ms: int
    wrong_id_at: int | None
    """Place of the first event whose id is not the one that belongs to its version."""


def _read_batch(compact: str) -> tuple[Batch, CompactJws]:
    try:
        return read_batch(compact)
    except Refused as error:
        raise TRANSACTION_FORM.broken(error.message) from error


def _admit(state: StateView, raw: bytes) -> Sender:
    """Refuse an outdated batch, or one of a stranger, by the first bytes of its transaction."""
    match = _BEGINNING.match(raw)
    if match is None:
        raise TRANSACTION_FORM.broken("The transaction does not begin with a batch.")
    batch, parts = _read_batch(match[1].decode("ascii"))
    jwk = _check_issuer(state, batch, parts)
    load = Load(batch.count, len(raw) - _FRAME_BYTES - batch.count + 1)
    return Sender(batch.issuer, batch.seq, load, partial(_verify, match[1].decode("ascii"), parts, jwk))


def _check_issuer(state: StateView, batch: Batch, parts: CompactJws) -> PublicJwk:
    """The issuer's key that signed a batch which is newer than its last."""
    member = state.member(batch.issuer)
    if member is None or member.status != "active":
        rule = ISSUER if member is None else SUSPENDED
        raise rule.broken(f"{batch.issuer} is not an active member of this league.")
    last = state.issuer(batch.issuer).seq
    if batch.seq <= last:
        raise SEQUENCE.broken(f"Batch {batch.seq} of {batch.issuer} does not follow {last}, its last one.")
    jwk = member.key(parts.kid)
    if jwk is None:
        raise KEY.broken(f"{batch.issuer} has no key {parts.kid!r}.")
    check_publishing_key(state, batch.issuer, parts.kid)
    return jwk


def _verify(jws: str, parts: CompactJws, jwk: PublicJwk, context: CheckContext) -> None:
    try:
        context.signatures.verify(jws, parts, jwk)
    except Refused as error:
        raise SIGNATURE.broken(error.message) from error


def check_events(contents: Sequence[bytes], params: LedgerParams) -> None:
    """Check the number of a batch's events and their sizes against the limits of a ledger.

    Raises:
        RuleBroken: `COUNT` or `SIZE`.
    """
    count = len(contents)
    if count > params.events_per_transaction_max:
        raise COUNT.broken(
            f"The transaction has {count} events; 1 to {params.events_per_transaction_max} are allowed."
        )
    for content in contents:
        if len(content) > params.event_size_max_bytes:
            raise SIZE.broken(
                f"The event has {len(content)} bytes; {params.event_size_max_bytes} are allowed."
            )


def _check_form(transaction: EventsTransaction, params: LedgerParams) -> None:
    check_events([content for content, _ in transaction.events], params)


def _decode(transaction: EventsTransaction) -> tuple[BatchStep]:
    batch, signed = _read_batch(transaction.batch)
    contents = tuple(content for content, _ in transaction.events)
    if batch.count != len(contents) or contents_root(contents).hex() != batch.root:
        raise ROOT.broken("The events are not those that the batch's issuer signed.")
    try:
        events = tuple(event_of_parts(parts, batch.issuer) for _, parts in transaction.events)
    except Refused as error:
        raise FORM.broken(error.message) from error
    times_ms = tuple(event_time_ms(event.time) for event in events)
    wrong_ids = (
        at
        for at, event in enumerate(events)
        if event.id != event_id_at(batch.issuer, event.entity, times_ms[at])
    )
    return (
        BatchStep(
            jws=transaction.batch,
            batch=batch,
            parts=signed,
            load=Load(batch.count, len(transaction.batch) + sum(map(len, contents))),
            contents=contents,
            events=events,
            times_ms=times_ms,
            first_time_ms=min(times_ms),
            last_time_ms=max(times_ms),
            wrong_id_at=next(wrong_ids, None),
        ),
    )


def _check(state: StateView, step: BatchStep, context: CheckContext) -> None:
    jwk = _check_issuer(state, step.batch, step.parts)
    check_quotas(state.issuer(step.batch.issuer), step.load, state.params, state.time_ms)
    _verify(step.jws, step.parts, jwk, context)
    check_policies(state, step.events, step.parts.kid)
    _check_events(state, step)


def _check_events(state: StateView, step: BatchStep) -> None:
    """Check one event after another, each as if those before it were committed."""
    issuer, is_of_3 = step.batch.issuer, state.ruleset == RULESET_3
    claims = state.claims(issuer, [event.entity.key for event in step.events])
    are_times_right = (
        step.last_time_ms - state.time_ms <= 1000 * state.params.event_ahead_max_s
        and step.first_time_ms - state.time_ms >= -1000 * state.params.event_behind_max_s
    )
    ends: dict[str, tuple[int, str | None]] = {}
    """Last version and hashlink of the chains that events of this batch continue."""
    ids: set[str] = set()
    for at, event in enumerate(step.events):
        entity = event.entity
        end = ends.get(entity.key)
        if end is None:
            last = claims.get(entity.key)
            end = (0, None) if last is None else (last.version, last.hashlink)
        if is_of_3:
            is_used = event.id in ids or state.has_event(issuer, event.id)
            ids.add(event.id)
        else:
            if at == step.wrong_id_at:
                raise ID.broken(f"{event.id} is not the id of version {entity.version} at {event.time}.")
            is_used = end == (entity.version, event.hashlink)
        if is_used:
            raise DUPLICATE.broken(f"Event {event.id} is on the ledger already.")
        if not are_times_right:
            _check_time(state, event, step.times_ms[at])
        if entity.version != end[0] + 1 or event.previous != end[1] or event.is_delete:
            _check_chain(*end, event)
        ends[entity.key] = entity.version, event.hashlink


def _check_time(state: StateView, event: LifecycleEvent, time_ms: int) -> None:
    ahead_ms = time_ms - state.time_ms
    ahead_max_ms = 1000 * state.params.event_ahead_max_s
    if ahead_ms > ahead_max_ms:
        raise AHEAD_OF_TIME.broken(
            f"The event's time {event.time} is too far after the block's.", ahead_ms - ahead_max_ms
        )
    if ahead_ms < -1000 * state.params.event_behind_max_s:
        raise BEHIND_TIME.broken(f"The event's time {event.time} is too far before the block's.")


def _check_chain(last_version: int, last_hashlink: str | None, event: LifecycleEvent) -> None:
    """The version follows the last one, and `previous` is that one's hashlink.

    The recorded hashlink of a deletion is that of the version it deleted, so a re-creation continues the
    chain.
    """
    expected, version = last_version + 1, event.entity.version
    if version != expected:
        raise VERSION.broken(f"Version {version} does not follow; {expected} would.")
    if event.previous != last_hashlink:
        raise PREVIOUS.broken("`previous` is not the hashlink of the version before.")
    if event.is_delete and event.hashlink != event.previous:
        raise DELETION.broken("A deletion's hashlink is that of the version that is deleted.")


def _apply(state: Overlay, step: BatchStep) -> None:
    issuer = spend(state.issuer(step.batch.issuer), step.load, state.params, state.time_ms)
    state.append_batch(step.jws, step.batch, issuer, step.contents, step.events)


def _events(step: BatchStep) -> Sequence[LifecycleEvent]:
    return step.events


def _form(contents: ContentParts) -> Record:
    return Record({"batch": Text(BATCH_JWS_PATTERN), "events": ListOf(WithBytes(contents), EVENTS_MAX)})


EVENTS: Final = Kind(
    name="events",
    form=_form(CONTENT_PARTS_3),
    fields=EventsTransaction,
    rules=RULES,
    admit=_admit,
    check_form=_check_form,
    decode=_decode,
    check=_check,
    apply=_apply,
    events=_events,
)
"""The kind `events` under `hansa-ledger/3`: there are no certificates, no policies and no sealed events."""

EVENTS_4: Final = msgspec.structs.replace(
    EVENTS, form=_form(CONTENT_PARTS), rules=(*RULES, ID, EXPIRED, REVOKED, *POLICY_RULES)
)
"""The same, since there are."""

_FRAME_BYTES: Final = len(b'{"kind":"events","batch":"","events":[]}')
"""Of a transaction beside its batch, its events, and the commas between these."""

_BEGINNING: Final = re.compile(
    re.escape(EVENTS.prefix) + b'"batch":"(' + BATCH_JWS_PATTERN.encode("ascii") + b')","events":'
)


def encode_events(batch: str, contents: Sequence[bytes]) -> bytes:
    """The bytes of an `events` transaction: a batch's JWS, and its events."""
    return EVENTS.write(batch=batch, events=tuple((content, None) for content in contents))
