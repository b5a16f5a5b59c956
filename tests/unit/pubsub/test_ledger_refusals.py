"""What breaks a rule of the ledger is refused by all four methods that judge."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hansa.core.batches import read_batch
from hansa.core.errors import Code, Refused
from hansa.core.events import Metadata, decode_event, encode_event
from hansa.core.jws import token_header
from hansa.pubsub.ledger.results import FAULT, TRANSACTION_RULES, RuleBroken
from hansa.pubsub.ledger.rules import NUMBERED_CODES, RULES
from hansa.pubsub.ledger.rules.events import EVENTS, ID
from tests.contract.origins import Origin
from tests.support.ledgers import TIME_MS, Ledger, forged, gap


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def without_checks(batch: str, *contents: bytes) -> bytes:
    """The bytes of a transaction, whatever is in it."""
    return b'{"kind":"events","batch":"%b","events":[%b]}' % (batch.encode(), b",".join(contents))


def first_event_id(ledger: Ledger) -> str:
    content = ledger.lubeck.event("first")
    ledger.commit(ledger.lubeck.batch(content))
    return decode_event(content, ledger.lubeck.did).id


def replay(ledger: Ledger) -> bytes:
    raw = ledger.lubeck.batch(ledger.lubeck.event("replayed"))
    ledger.commit(raw)
    return raw


def committed_event_again(ledger: Ledger) -> bytes:
    content = ledger.lubeck.event("again")
    ledger.commit(ledger.lubeck.batch(content))
    return ledger.lubeck.batch(content)


def second_first_version(ledger: Ledger) -> bytes:
    again = ledger.lubeck.describe("twice", hashlink=ledger.lubeck.describe("other").hashlink)
    ledger.commit(ledger.lubeck.batch(ledger.lubeck.event("twice")))
    return encode_event(again)


def fork(ledger: Ledger) -> bytes:
    ledger.commit(ledger.lubeck.batch(ledger.lubeck.event("forked")))
    other = ledger.lubeck.describe("other").hashlink
    return encode_event(ledger.lubeck.describe("forked", "AttributeValueChange", previous=other))


def deletion_of_another_version(ledger: Ledger) -> bytes:
    ledger.commit(ledger.lubeck.batch(ledger.lubeck.event("deleted")))
    return ledger.lubeck.event("deleted", "Delete", hashlink=ledger.lubeck.describe("other").hashlink)


def signed_otherwise(origin: Origin) -> bytes:
    """A batch with the signature of another batch of the same key."""
    content = origin.event("new")
    signature = origin.signer.sign(origin.events(1), 1).rpartition(".")[2]
    return without_checks(f"{origin.signer.sign([content], 1).rpartition('.')[0]}.{signature}", content)


def contradiction(origin: Origin) -> bytes:
    """A signed deletion of what was never there."""
    content = origin.event("new").replace(b"productOfferingCreateEvent", b"productOfferingDeleteEvent")
    return origin.batch(content)


def other_events_than_signed(ledger: Ledger, *contents: bytes) -> bytes:
    """The batch of two events, with these in their place."""
    return without_checks(ledger.lubeck.signer.sign(ledger.lubeck.events(2), 1), *contents)


def full_batches(origin: Origin, count: int) -> list[bytes]:
    """So many batches of some 7 kB each."""
    metadata = Metadata(categories=("x" * 100,) * 14)
    return [
        origin.batch(*[origin.event(f"full-{batch}-{n}", metadata=metadata) for n in range(4)])
        for batch in range(count)
    ]


def too_many_events(ledger: Ledger) -> bytes:
    ledger.commit(*[ledger.lubeck.batch(*ledger.lubeck.events(5)) for _ in range(20)])
    return ledger.lubeck.batch(*ledger.lubeck.events(5))


def too_many_bytes(ledger: Ledger) -> bytes:
    *first, last = full_batches(ledger.lubeck, 14)
    ledger.commit(*first)
    return last


def too_many_bytes_of_a_day(ledger: Ledger) -> bytes:
    *first, last = full_batches(ledger.lubeck, 15)
    for batch in first:
        ledger.commit(batch)
    return last


# -- what is refused, in all four places ------------------------------------------------------------------------

REFUSALS: dict[str, tuple[Code, Callable[[Ledger], bytes]]] = {
    "a forged signature": (
        Code.EVENT_SIGNATURE_INVALID,
        lambda ledger: forged(ledger.lubeck, Origin("lubeck"), ledger.lubeck.event("new")),
    ),
    "a signature of another member's key": (
        Code.EVENT_SIGNATURE_INVALID,
        lambda ledger: forged(ledger.lubeck, ledger.bergen, ledger.lubeck.event("new")),
    ),
    "a signature of another batch": (
        Code.EVENT_SIGNATURE_INVALID,
        lambda ledger: signed_otherwise(ledger.lubeck),
    ),
    "a signature made for another purpose": (
        Code.TRANSACTION_MALFORMED,
        lambda ledger: without_checks(
            ledger.lubeck.key.sign(
                read_batch(ledger.lubeck.signer.sign(ledger.lubeck.events(1), 1))[1].payload,
                token_header("JWT"),
                typ="JWT",
            ),
            *ledger.lubeck.events(1),
        ),
    ),
    "an unknown issuer": (
        Code.EVENT_ISSUER_UNKNOWN,
        lambda _: Origin("stranger").batch(*Origin("stranger").events(1)),
    ),
    "a suspended issuer": (
        Code.EVENT_ISSUER_UNKNOWN,
        lambda ledger: ledger.riga.batch(ledger.riga.event("new")),
    ),
    "a replayed batch": (Code.BATCH_OUTDATED, replay),
    "a batch of an earlier number": (
        Code.BATCH_OUTDATED,
        lambda ledger: replay(ledger) and ledger.lubeck.batch(ledger.lubeck.event("new"), seq=1),
    ),
    "an event that was committed": (Code.EVENT_DUPLICATE, committed_event_again),
    "an event id that was used": (
        Code.EVENT_MALFORMED,
        lambda ledger: ledger.lubeck.batch(ledger.lubeck.event("new", id=first_event_id(ledger))),
    ),
    "the same event twice in a batch": (
        Code.EVENT_DUPLICATE,
        lambda ledger: ledger.lubeck.batch(*[ledger.lubeck.event("new")] * 2),
    ),
    "a time too far ahead": (
        Code.EVENT_TIME_WRONG,
        lambda ledger: ledger.lubeck.batch(ledger.lubeck.event("new", time="2026-01-01T00:05:01.001Z")),
    ),
    "a time too far behind": (
        Code.EVENT_TIME_WRONG,
        lambda ledger: ledger.lubeck.batch(ledger.lubeck.event("new", time="2025-12-30T23:59:59.999Z")),
    ),
    "more events at once than the quota": (Code.QUOTA_EXCEEDED, too_many_events),
    "more bytes at once than the quota": (Code.QUOTA_EXCEEDED, too_many_bytes),
    "more bytes a day than the quota": (Code.QUOTA_EXCEEDED, too_many_bytes_of_a_day),
    "a version too many": (
        Code.EVENT_VERSION_BROKEN,
        lambda ledger: ledger.lubeck.batch(gap(ledger, 5)),
    ),
    "a second first version": (
        Code.EVENT_VERSION_BROKEN,
        lambda ledger: ledger.lubeck.batch(second_first_version(ledger)),
    ),
    "a version with another predecessor": (
        Code.EVENT_VERSION_BROKEN,
        lambda ledger: ledger.lubeck.batch(fork(ledger)),
    ),
    "a deletion that names another version": (
        Code.EVENT_VERSION_BROKEN,
        lambda ledger: ledger.lubeck.batch(deletion_of_another_version(ledger)),
    ),
    "other events than those signed": (
        Code.TRANSACTION_MALFORMED,
        lambda ledger: other_events_than_signed(ledger, *ledger.lubeck.events(2)),
    ),
    "fewer events than were signed": (
        Code.TRANSACTION_MALFORMED,
        lambda ledger: other_events_than_signed(ledger, *ledger.lubeck.events(1)),
    ),
    "no events": (Code.TRANSACTION_MALFORMED, other_events_than_signed),
    "too many events": (
        Code.TRANSACTION_TOO_LARGE,
        lambda ledger: ledger.lubeck.batch(*ledger.lubeck.events(6)),
    ),
    "ten megabytes": (Code.TRANSACTION_TOO_LARGE, lambda _: b"x" * 10_000_000),
    "an event over the limit": (
        Code.EVENT_TOO_LARGE,
        lambda ledger: ledger.lubeck.batch(
            ledger.lubeck.event("new", metadata=Metadata(categories=("x" * 100,) * 20))
        ),
    ),
    "an event that contradicts itself": (
        Code.EVENT_MALFORMED,
        lambda ledger: contradiction(ledger.lubeck),
    ),
    "an event of another form": (
        Code.TRANSACTION_MALFORMED,
        lambda ledger: other_events_than_signed(ledger, b"{}", b"{}"),
    ),
    "no JSON": (Code.TRANSACTION_MALFORMED, lambda _: b"\x00\xff"),
    "another kind": (Code.TRANSACTION_MALFORMED, lambda _: b'{"kind":"member","events":[]}'),
    "no batch": (Code.TRANSACTION_MALFORMED, lambda _: b'{"kind":"events","events":[]}'),
    "an unknown field": (
        Code.TRANSACTION_MALFORMED,
        lambda ledger: ledger.lubeck.batch(ledger.lubeck.event("new"))[:-1] + b',"x":1}',
    ),
    "deep nesting": (Code.TRANSACTION_MALFORMED, lambda _: b"[" * 8000),
    "spaces": (
        Code.TRANSACTION_MALFORMED,
        lambda ledger: ledger.lubeck.batch(ledger.lubeck.event("new")).replace(b":", b": ", 1),
    ),
    "a field twice": (
        Code.TRANSACTION_MALFORMED,
        lambda ledger: b'{"kind":"events",' + ledger.lubeck.batch(ledger.lubeck.event("new"))[1:],
    ),
}


@pytest.mark.parametrize(("code", "make"), REFUSALS.values(), ids=REFUSALS)
def test_what_breaks_a_rule_is_refused_everywhere(
    ledger: Ledger, code: Code, make: Callable[[Ledger], bytes]
) -> None:
    bad, before = make(ledger), ledger.state.head
    good = ledger.bergen.batch(ledger.bergen.event("good"))
    with pytest.raises(Refused) as refused:
        ledger.application.check_tx(bad, TIME_MS)
    assert refused.value.code is code
    assert ledger.prepared(bad, good) == [good]
    rejection = ledger.application.process_proposal(ledger.block(good, bad))
    assert rejection is not None
    assert rejection.code is code
    assert ledger.application.process_proposal(ledger.block(good)) is None
    assert ledger.state.head == before
    assert ledger.commit(bad, good) == [code, None]
    assert ledger.state.head.position == before.position + 1


def test_every_rule_is_broken_by_one_of_these() -> None:
    broken = set()
    for _, make in REFUSALS.values():
        ledger = Ledger()
        with pytest.raises(RuleBroken) as refused:
            ledger.application.check_tx(make(ledger), TIME_MS)
        broken.add(refused.value.rule)
    assert broken == {*TRANSACTION_RULES, *EVENTS.rules, ID} - {FAULT}


def test_every_rule_has_a_number_of_its_own() -> None:
    assert {code for code, _ in REFUSALS.values()} <= set(NUMBERED_CODES.values())
    assert len({rule.number for rule in RULES}) == len(RULES)
    assert 0 not in NUMBERED_CODES
