"""Transactions of kind `events`: a batch of one issuer's lifecycle events, all of them or none.

What is checked, in this order. Of the batch: the number of events. Of every event: its size; that it is a
compact JWS; its form (`hansa.core.events`). Of the batch: that all events have one issuer. Then of one event
after another, against the state: its issuer is an active member, the named key is one of the issuer's, the
signature verifies with that key's one algorithm, the issuer has not used the event's id before, the location
is where the issuer serves that entity, and the version continues the entity's chain.

Ids and entity keys are bound to their issuer. A ledger cannot check that an entity key is the hash of the
issuer's DID and an identifier it does not know; were a key (or an id) taken by whoever commits it first,
seeing an event on its way would be enough to take it from its rightful owner (docs/decisions/0003).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from hansa.core.closed_json import Integer, ListOf, Record, Text
from hansa.core.errors import Code, Refused
from hansa.core.events import ENTITIES_PATH, LifecycleEvent, entity_location, read_event
from hansa.pubsub.bus import Claim
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.results import Rule
from hansa.pubsub.ledger.rules.kind import CheckContext, Kind
from hansa.pubsub.ledger.rules.signatures import SignedText
from hansa.pubsub.ledger.state import Overlay, StateView

EVENTS_MAX: Final = 65_536
"""Of any ledger; the parameters of a league say how many there may be in it."""
ATTEMPT_MAX: Final = 255
"""Of `EventsTransaction.attempt`: bounds the look-alikes of one batch."""

# Base64url without padding; both algorithms' signatures have 64 bytes. Base64 decoders overlook foreign
# characters.
_COMPACT_JWS: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}")

FORM: Final = Rule(1, Code.EVENT_MALFORMED, "an event is not of the form that ARCHITECTURE.md describes")
SIZE: Final = Rule(2, Code.EVENT_TOO_LARGE, "an event exceeds `event_size_max_bytes`")
ISSUER: Final = Rule(3, Code.EVENT_ISSUER_UNKNOWN, "an event's issuer is not a member")
SIGNATURE: Final = Rule(
    4, Code.EVENT_SIGNATURE_INVALID, "a signature does not verify with the key of the issuer that it names"
)
DUPLICATE: Final = Rule(5, Code.EVENT_DUPLICATE, "the issuer has used an event's id before")
LOCATION: Final = Rule(
    6, Code.EVENT_LOCATION_FOREIGN, "an event's location is not where its issuer serves the entity"
)
VERSION: Final = Rule(
    7,
    Code.EVENT_VERSION_BROKEN,
    "an event's `version` is not the one after the entity's last",
    may_be_ahead=True,
)
SUSPENDED: Final = Rule(10, Code.EVENT_ISSUER_UNKNOWN, "an event's issuer is suspended")
KEY: Final = Rule(11, Code.EVENT_SIGNATURE_INVALID, "an event's issuer has no key of the name in `kid`")
PREVIOUS: Final = Rule(
    12, Code.EVENT_VERSION_BROKEN, "an event's `previous` is not the hashlink of the entity's last version"
)
DELETION: Final = Rule(
    13, Code.EVENT_VERSION_BROKEN, "the location of a deletion names another version than the last"
)
COUNT: Final = Rule(
    16, Code.TRANSACTION_TOO_LARGE, "the transaction has more than `events_per_transaction_max` events"
)
ISSUERS: Final = Rule(17, Code.TRANSACTION_MALFORMED, "the transaction has events of several issuers")

RULES: Final = (
    *(FORM, SIZE, ISSUER, SIGNATURE, DUPLICATE, LOCATION, VERSION),
    *(SUSPENDED, KEY, PREVIOUS, DELETION, COUNT, ISSUERS),
)


class EventsTransaction(msgspec.Struct, frozen=True):
    """A batch of one issuer's lifecycle events: all of them or none."""

    events: tuple[str, ...]
    """Compact JWS, in the order in which they take their positions; at least one."""
    attempt: int = 0
    """Which submission of the batch this is; left out of the first one's bytes. CometBFT gossips the same
    bytes to a peer once only, and a peer that was starting then has dropped them; other bytes travel
    again."""


class SignedEvent(SignedText):
    """An event as it was submitted."""

    __slots__ = ("event",)

    def __init__(self, jws: str) -> None:
        """Raises `RuleBroken` with `FORM`."""
        try:
            event, parts = read_event(jws)
        except Refused as error:
            raise FORM.broken(error.message) from error
        super().__init__(jws, parts)
        self.event: LifecycleEvent = event


def _check_form(transaction: EventsTransaction, params: LedgerParams) -> None:
    count = len(transaction.events)
    if count > params.events_per_transaction_max:
        raise COUNT.broken(
            f"The transaction has {count} events; 1 to {params.events_per_transaction_max} are allowed."
        )
    for compact in transaction.events:
        if len(compact) > params.event_size_max_bytes:
            raise SIZE.broken(
                f"The event has {len(compact)} bytes; {params.event_size_max_bytes} are allowed."
            )
        if _COMPACT_JWS.fullmatch(compact) is None:
            raise FORM.broken("An event is not a compact JSON Web Signature.")


def _decode(transaction: EventsTransaction) -> tuple[SignedEvent, ...]:
    events = tuple(SignedEvent(jws) for jws in transaction.events)
    if len({signed.event.issuer for signed in events}) != 1:
        raise ISSUERS.broken("A transaction carries events of one issuer alone.")
    return events


def _check(state: StateView, signed: SignedEvent, context: CheckContext) -> None:
    event = signed.event
    member = state.member(event.issuer)
    if member is None or member.status != "active":
        rule = ISSUER if member is None else SUSPENDED
        raise rule.broken(f"{event.issuer} is not an active member of this league.")
    jwk = member.key(signed.kid)
    if jwk is None:
        raise KEY.broken(f"{event.issuer} has no key {signed.kid!r}.")
    try:
        signed.verify(jwk, context.keys)
    except Refused as error:
        raise SIGNATURE.broken(error.message) from error
    if state.has_event(event.issuer, event.id):
        raise DUPLICATE.broken(f"Event {event.id} is on the ledger already.")
    if event.location != entity_location(member.endpoint, event.entity.key, event.hashlink):
        raise LOCATION.broken(
            f"The location is not where {event.issuer} serves the entity: under {member.endpoint}{ENTITIES_PATH}/."
        )
    _check_chain(state.claim(event.issuer, event.entity.key), event, may_be_ahead=context.may_be_ahead)


def _check_chain(last: Claim | None, event: LifecycleEvent, *, may_be_ahead: bool) -> None:
    """The version follows the last one, and `previous` is that one's hashlink.

    The recorded hashlink of a deletion is that of the version it deleted, so a re-creation continues the
    chain.
    """
    expected, version = (last.version + 1 if last else 1), event.entity.version
    if may_be_ahead and version == expected + 1:
        return
    if version != expected:
        raise VERSION.broken(f"Version {version} does not follow; {expected} would.")
    if event.previous != (last.hashlink if last else None):
        raise PREVIOUS.broken("`previous` is not the hashlink of the version before.")
    if event.is_delete and event.hashlink != event.previous:
        raise DELETION.broken("A deletion's location names the version that is deleted.")


def _apply(state: Overlay, signed: SignedEvent) -> None:
    state.append_event(signed.jws, signed.event)


EVENTS: Final = Kind(
    name="events",
    form=Record(
        {"events": ListOf(Text(r"[\x20\x21\x23-\x5b\x5d-\x7e]*"), EVENTS_MAX)},
        {"attempt": Integer(1, ATTEMPT_MAX)},
    ),
    fields=EventsTransaction,
    rules=RULES,
    check_form=_check_form,
    decode=_decode,
    check=_check,
    apply=_apply,
)
"""The kind `events`."""


def encode_events(events: Sequence[str], attempt: int = 0) -> bytes:
    """The bytes of an `events` transaction."""
    number = attempt % (ATTEMPT_MAX + 1)
    return EVENTS.write(events=tuple(events), **({"attempt": number} if number else {}))
