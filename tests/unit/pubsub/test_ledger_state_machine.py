"""The rules of the ledger, without any server."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.core.batches import BatchSigner, read_batch
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.events import EntityVersion, Metadata, encode_event
from hansa.core.jws import token_header
from hansa.core.merkle import leaf_hash, root
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.ledger.results import FAULT, TRANSACTION_RULES, RuleBroken
from hansa.pubsub.ledger.rules import NUMBERED_CODES, RULES
from hansa.pubsub.ledger.rules.events import EVENTS, encode_events
from hansa.pubsub.ledger.rules.signatures import Signatures
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state import Overlay, StateView, event_leaf, members_root
from hansa.pubsub.ledger.state_machine import Block, finalize_block
from hansa.pubsub.ledger.transactions import LedgerTransaction, TransactionReader
from tests.contract.origins import Origin

TIME_MS = 1_767_225_600_000
PARAMS = LedgerParams(
    event_size_max_bytes=2048,
    events_per_transaction_max=5,
    transaction_size_max_bytes=8192,
    issuer_events_per_s=1,
    issuer_bytes_per_s=1000,
    issuer_burst_s=100,
    issuer_bytes_per_day=103_000,
)


class Ledger:
    """An application with two active members, and blocks for it."""

    def __init__(self, path: Path | str = MEMORY) -> None:
        self.lubeck, self.bergen = Origin("lubeck"), Origin("bergen", "Ed25519")
        self.riga = Origin("riga", status="suspended")
        self.genesis = AppState((self.lubeck.member, self.bergen.member, self.riga.member), PARAMS)
        self.application = LedgerApplication(SqliteState(path))
        self.application.init_chain(msgspec.json.encode(self.genesis), TIME_MS)

    @property
    def state(self) -> SqliteState:
        return self.application.state

    def block(self, *transactions: bytes) -> Block:
        height = self.state.head.height + 1
        return Block(height, TIME_MS + 1000 * height, transactions)

    def prepared(self, *candidates: bytes, size_max_bytes: int = 400_000) -> list[bytes]:
        return self.application.prepare_proposal(candidates, self.block().time_ms, size_max_bytes)

    def commit(self, *transactions: bytes) -> list[Code | None]:
        effects = self.application.finalize_block(self.block(*transactions))
        self.application.commit()
        return [None if refusal is None else refusal.code for refusal in effects.refusals]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def forged(origin: Origin, signer: Origin, *contents: bytes) -> bytes:
    """A batch in a member's name that another one signed."""
    return origin.batch(*contents, signer=BatchSigner(signer.key, origin.did, ManualClock()))


def without_checks(batch: str, *contents: bytes) -> bytes:
    """The bytes of a transaction, whatever is in it."""
    return b'{"kind":"events","batch":"%b","events":[%b]}' % (batch.encode(), b",".join(contents))


def first_event_id(ledger: Ledger) -> str:
    event = ledger.lubeck.describe("first")
    ledger.commit(ledger.lubeck.batch(ledger.lubeck.event("first", id=event.id)))
    return event.id


def replay(ledger: Ledger) -> bytes:
    raw = ledger.lubeck.batch(ledger.lubeck.event("replayed"))
    ledger.commit(raw)
    return raw


def committed_event_again(ledger: Ledger) -> bytes:
    content = ledger.lubeck.event("again")
    ledger.commit(ledger.lubeck.batch(content))
    return ledger.lubeck.batch(content)


def gap(ledger: Ledger, version: int) -> bytes:
    link = ledger.lubeck.describe("gap").hashlink
    entity = EntityVersion(ledger.lubeck.key_of("gap"), "ProductOffering", version)
    return ledger.lubeck.event("gap", entity=entity, previous=link)


def second_first_version(ledger: Ledger) -> bytes:
    again = ledger.lubeck.describe("twice")
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
        Code.EVENT_DUPLICATE,
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
    assert broken == {*TRANSACTION_RULES, *EVENTS.rules} - {FAULT}


@pytest.mark.parametrize("error", [RecursionError(), MemoryError(), ValueError("deep"), AssertionError()])
def test_a_fault_of_the_software_refuses_the_transaction_and_ends_only_the_execution(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    bad, good = ledger.lubeck.batch(*ledger.lubeck.events(1)), ledger.bergen.batch(*ledger.bergen.events(1))
    read = TransactionReader.read

    def failing(self: TransactionReader, raw: bytes, state: StateView) -> LedgerTransaction:
        if raw == bad:
            raise error
        return read(self, raw, state)

    monkeypatch.setattr(TransactionReader, "read", failing)
    with pytest.raises(RuleBroken) as refused:
        ledger.application.check_tx(bad, TIME_MS)
    assert refused.value.rule is FAULT
    assert ledger.prepared(bad, good) == [good]
    rejection = ledger.application.process_proposal(ledger.block(good, bad))
    assert isinstance(rejection, RuleBroken)
    assert rejection.rule is FAULT
    with pytest.raises(type(error)):
        ledger.application.finalize_block(ledger.block(good, bad))


def test_every_rule_has_a_number_of_its_own() -> None:
    assert {code for code, _ in REFUSALS.values()} <= set(NUMBERED_CODES.values())
    assert len({rule.number for rule in RULES}) == len(RULES)
    assert 0 not in NUMBERED_CODES


@settings(max_examples=200)
@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda raw: b'{"kind":"events","batch":"' + raw))
def test_bytes_from_strangers_are_refused_and_never_crash(raw: bytes) -> None:
    with pytest.raises(Refused) as refused:
        TransactionReader(PARAMS).read(raw, Ledger().state)
    assert refused.value.code in NUMBERED_CODES.values()


@given(st.integers(1, PARAMS.events_per_transaction_max))
def test_a_transaction_is_read_as_it_was_written(count: int) -> None:
    ledger = Ledger()
    contents = ledger.lubeck.events(count)
    raw = ledger.lubeck.batch(*contents)
    transaction = TransactionReader(PARAMS).read(raw, ledger.state)
    assert transaction.kind is EVENTS
    assert [step.content for step in transaction.steps[1:]] == contents
    assert encode_events(transaction.steps[0].jws, contents) == raw


# -- chains and claims ------------------------------------------------------------------------------------------


def test_versions_follow_one_another_within_a_block_and_a_batch(ledger: Ledger) -> None:
    origin = ledger.lubeck
    batch = origin.batch(origin.event("e"), origin.event("e", "StateChange"))
    after = origin.batch(origin.event("e", "Delete"))
    assert ledger.commit(batch, after) == [None, None]
    claim = ledger.state.claim(origin.did, origin.key_of("e"))
    assert claim is not None
    assert (claim.version, claim.is_deleted, claim.first_position, claim.last_position) == (3, True, 1, 3)


def test_a_batch_is_applied_as_a_whole_or_not_at_all(ledger: Ledger) -> None:
    good = ledger.lubeck.event("good")
    assert ledger.commit(ledger.lubeck.batch(good, gap(ledger, 3))) == [Code.EVENT_VERSION_BROKEN]
    assert ledger.state.claim(ledger.lubeck.did, ledger.lubeck.key_of("good")) is None
    assert ledger.commit(ledger.lubeck.batch(good)) == [None]


def test_a_re_creation_continues_the_chain_of_what_was_deleted(ledger: Ledger) -> None:
    origin = ledger.lubeck
    for change in ("Create", "Delete", "Create", "Delete"):
        assert ledger.commit(origin.batch(origin.event("e", change))) == [None]
    claim = ledger.state.claim(origin.did, origin.key_of("e"))
    assert claim is not None
    assert (claim.version, claim.is_deleted) == (4, True)


def test_a_proposal_keeps_within_its_size(ledger: Ledger) -> None:
    candidates = [ledger.lubeck.batch(ledger.lubeck.event(f"e{n}")) for n in range(5)]
    size = sum(len(raw) + 3 for raw in candidates[:3])
    assert ledger.prepared(*candidates, size_max_bytes=size) == candidates[:3]
    assert ledger.prepared(*candidates, size_max_bytes=size - 1) == candidates[:2]
    assert ledger.prepared(*candidates, size_max_bytes=0) == []


def test_a_block_that_is_not_the_next_is_fatal(ledger: Ledger) -> None:
    ledger.commit()
    for height in (1, 3):
        with pytest.raises(Fatal) as fatal:
            ledger.application.finalize_block(Block(height, TIME_MS, ()))
        assert fatal.value.code is Code.STORE_DAMAGED


# -- the application hash ---------------------------------------------------------------------------------------


def test_the_app_hash_commits_to_events_and_members(ledger: Ledger) -> None:
    events = [ledger.lubeck.event(f"e{n}") for n in range(4)]
    raw = ledger.lubeck.batch(*events)
    ledger.commit(raw)
    digest = hashlib.sha256(raw.split(b'"')[7]).digest()
    expected = root(
        [
            leaf_hash(
                b"events" + root([leaf_hash(event_leaf(1, TIME_MS + 1000, n, digest)) for n in range(4)])
            ),
            leaf_hash(b"members" + members_root(ledger.genesis.members)),
        ]
    )
    assert ledger.state.head.app_hash == expected


def test_empty_and_refused_blocks_leave_the_app_hash_alone(ledger: Ledger) -> None:
    ledger.commit(ledger.lubeck.batch(ledger.lubeck.event("e")))
    before = ledger.state.head.app_hash
    ledger.commit()
    ledger.commit(b"nonsense")
    assert ledger.state.head.app_hash == before


def test_the_order_of_the_members_in_the_genesis_document_does_not_matter() -> None:
    members = [Origin(name).member for name in ("lubeck", "bergen", "riga")]
    roots = {members_root(list(order)) for order in itertools.permutations(members)}
    assert len(roots) == 1
    renamed = [msgspec.structs.replace(members[0], name="other"), *members[1:]]
    assert members_root(renamed) not in roots


def blocks_of(ledger: Ledger, seed: int) -> list[tuple[bytes, ...]]:
    """Blocks with valid and invalid transactions of two members."""
    draw = random.Random(seed)
    seen: list[bytes] = [b"nonsense"]
    blocks = []
    for _ in range(draw.randint(1, 6)):
        block: list[bytes] = []
        for _ in range(draw.randint(0, 4)):
            origin = draw.choice([ledger.lubeck, ledger.bergen])
            kind = draw.random()
            if kind < 0.2:
                raw = draw.choice(seen)
            elif kind < 0.3:
                raw = forged(origin, Origin("forger"), encode_event(origin.describe("e0")))
            else:
                names = draw.sample(range(6), draw.randint(1, 3))
                raw = origin.batch(*(origin.event(f"e{n}", draw_change(draw, origin, n)) for n in names))
            seen.append(raw)
            block.append(raw)
        blocks.append(tuple(block))
    return blocks


def draw_change(draw: random.Random, origin: Origin, number: int) -> str:
    if origin.describe(f"e{number}").entity.version == 1:
        return "Create"
    return draw.choice(["StateChange", "AttributeValueChange", "Delete"])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_the_same_blocks_give_the_same_hashes_also_with_a_restart_at_every_block(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    ledger = Ledger()
    blocks = blocks_of(ledger, seed)
    hashes, refusals = [], []
    for transactions in blocks:
        refusals.append(ledger.commit(*transactions))
        hashes.append(ledger.state.head.app_hash)
    path = tmp_path_factory.mktemp("ledger") / "state.db"
    for number, transactions in enumerate(blocks):
        application = LedgerApplication(SqliteState(path))
        if number == 0:
            application.init_chain(msgspec.json.encode(ledger.genesis), TIME_MS)
        else:
            assert application.state.head.app_hash == hashes[number - 1]
        block = Block(number + 1, TIME_MS + 1000 * (number + 1), transactions)
        once, effects = application.finalize_block(block), application.finalize_block(block)
        assert (once.head, once.events, once.claims) == (effects.head, effects.events, effects.claims)
        application.commit()
        assert [refusal and refusal.code for refusal in effects.refusals] == refusals[number]
        assert application.state.head.app_hash == hashes[number]
        application.state.close()


@settings(max_examples=15)
@given(st.integers(0, 2**32))
def test_what_an_honest_proposer_selects_is_accepted_and_takes_effect_as_a_whole(seed: int) -> None:
    ledger = Ledger()
    for transactions in blocks_of(ledger, seed):
        selected = ledger.prepared(*transactions)
        assert ledger.application.process_proposal(ledger.block(*selected)) is None
        assert ledger.commit(*selected) == [None] * len(selected)


def test_what_is_remembered_changes_no_result(ledger: Ledger) -> None:
    blocks = blocks_of(ledger, 7)
    remembering = TransactionReader(PARAMS)
    for transactions in blocks:
        block = ledger.block(*transactions)
        with_memory = finalize_block(ledger.state, block, remembering)
        without = finalize_block(ledger.state, block, TransactionReader(PARAMS, steps_cached_max=0))
        assert with_memory.head == without.head
        ledger.commit(*transactions)


def test_a_remembered_verification_counts_only_for_the_same_key(ledger: Ledger) -> None:
    """A member that changes its key under the same name has its old signatures refused."""
    signatures = Signatures()
    jws = ledger.lubeck.signer.sign(ledger.lubeck.events(1), 1)
    parts = read_batch(jws)[1]
    signatures.verify(jws, parts, ledger.lubeck.key.public)
    impostor = msgspec.structs.replace(Origin("x").key.public, kid=ledger.lubeck.key.kid)
    with pytest.raises(Refused):
        signatures.verify(jws, parts, impostor)


def test_an_overlay_leaves_the_state_below_as_it_is(ledger: Ledger) -> None:
    below = Overlay(ledger.state, 1, TIME_MS)
    upper = below.upper()
    step, event = TransactionReader(PARAMS).read(ledger.lubeck.batch(ledger.lubeck.event("e")), below).steps
    upper.begin_batch(step.jws, step.batch, below.issuer(ledger.lubeck.did))
    upper.append_event(event.content, event.event)
    assert (below.events, below.head) == ((), ledger.state.head)
    below.absorb(upper)
    assert below.events == upper.events
    assert ledger.state.head.position == 0
