"""The rules of the ledger, without any server."""

from __future__ import annotations

import hashlib
import itertools
import random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.core.batches import read_batch
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.events import encode_event
from hansa.core.members import Member
from hansa.core.merkle import leaf_hash, root
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.commitments.app_hash import event_leaf, verify_section
from hansa.pubsub.ledger.genesis import AppState
from hansa.pubsub.ledger.results import FAULT, RuleBroken
from hansa.pubsub.ledger.rules import NUMBERED_CODES
from hansa.pubsub.ledger.rules.events import EVENTS_4, encode_events
from hansa.pubsub.ledger.rules.signatures import Signatures
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.state import Overlay, StateView, genesis_effects
from hansa.pubsub.ledger.state_machine import Block, finalize_block
from hansa.pubsub.ledger.transactions import LedgerTransaction, TransactionReader
from tests.contract.origins import Origin
from tests.support.ledgers import PARAMS, TIME_MS, Ledger, forged, gap


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


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


@settings(max_examples=200)
@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda raw: b'{"kind":"events","batch":"' + raw))
def test_bytes_from_strangers_are_refused_and_never_crash(raw: bytes) -> None:
    with pytest.raises(Refused) as refused:
        TransactionReader().read(raw, Ledger().state)
    assert refused.value.code in NUMBERED_CODES.values()


@given(st.integers(1, PARAMS.events_per_transaction_max))
def test_a_transaction_is_read_as_it_was_written(count: int) -> None:
    ledger = Ledger()
    contents = ledger.lubeck.events(count)
    raw = ledger.lubeck.batch(*contents)
    transaction = TransactionReader().read(raw, ledger.state)
    assert transaction.kind is EVENTS_4
    (step,) = transaction.steps
    assert list(step.contents) == contents
    assert encode_events(step.jws, contents) == raw


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
    leaves = [leaf_hash(event_leaf(1, TIME_MS + 1000, n, digest)) for n in range(4)]
    content = (4).to_bytes(8) + root(leaves)
    sections = ledger.state.trees.sections
    assert verify_section(
        sections.ruleset, "events", content, sections.path("events"), ledger.state.head.app_hash
    )
    assert ledger.state.trees.sections.app_hash == ledger.state.head.app_hash


def test_empty_and_refused_blocks_leave_the_app_hash_alone(ledger: Ledger) -> None:
    ledger.commit(ledger.lubeck.batch(ledger.lubeck.event("e")))
    before = ledger.state.head.app_hash
    ledger.commit()
    ledger.commit(b"nonsense")
    assert ledger.state.head.app_hash == before


def test_the_order_of_the_members_in_the_genesis_document_does_not_matter() -> None:
    members = [Origin(name).member for name in ("lubeck", "bergen", "riga")]
    hashes = {genesis_hash(order) for order in itertools.permutations(members)}
    assert len(hashes) == 1
    renamed = (msgspec.structs.replace(members[0], name="other"), *members[1:])
    assert genesis_hash(renamed) not in hashes


def genesis_hash(members: tuple[Member, ...]) -> bytes:
    return genesis_effects(AppState(members), 0, {}).head.app_hash


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


@settings(max_examples=15)
@given(st.integers(0, 2**32))
def test_a_members_own_proposal_changes_what_others_compute_of_it(seed: int) -> None:
    ledger = Ledger()
    for transactions in blocks_of(ledger, seed):
        block = ledger.block(*ledger.prepared(*transactions))
        others = finalize_block(ledger.state, block, TransactionReader())
        assert ledger.application.process_proposal(block) is None
        own = ledger.application.finalize_block(block)
        assert (own.head, own.events, own.claims, own.issuers) == (
            *(others.head, others.events, others.claims, others.issuers),
        )
        ledger.application.commit()


def test_a_block_that_resembles_a_members_own_proposal_is_judged_by_itself(ledger: Ledger) -> None:
    origin = ledger.lubeck
    first, second = origin.batch(origin.event("e")), origin.batch(origin.event("e", "StateChange"))
    assert ledger.prepared(first, second) == [first, second]
    whole = ledger.block(first, second)
    for other in (
        ledger.block(second),
        ledger.block(second, first),
        ledger.block(first, second, second),
        ledger.block(first, second + b" "),
        msgspec.structs.replace(whole, time_ms=whole.time_ms + 2 * 86_400_000),
    ):
        assert ledger.application.process_proposal(other) is not None
    later = msgspec.structs.replace(whole, time_ms=whole.time_ms + 1)
    assert ledger.application.process_proposal(later) is None
    assert ledger.application.finalize_block(later).head.time_ms == later.time_ms


def test_a_batch_whose_claims_cannot_be_read_changes_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = Overlay(ledger.state, 1, TIME_MS)
    (step,) = TransactionReader().read(ledger.lubeck.batch(ledger.lubeck.event("e")), state).steps
    damaged = Fatal(Code.STORE_DAMAGED, "The bucket is another one.")

    def claims(*_: object) -> None:
        raise damaged

    monkeypatch.setattr(SqliteState, "claims", claims)
    with pytest.raises(Fatal):
        state.append_batch(step.jws, step.batch, state.issuer(step.batch.issuer), step.contents, step.events)
    assert (state.events, state.position, state.issuer(step.batch.issuer).seq) == ((), 0, 0)


def test_what_is_remembered_changes_no_result(ledger: Ledger) -> None:
    blocks = blocks_of(ledger, 7)
    remembering = TransactionReader()
    for transactions in blocks:
        block = ledger.block(*transactions)
        with_memory = finalize_block(ledger.state, block, remembering)
        without = finalize_block(ledger.state, block, TransactionReader(cached_max_bytes=0))
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
    (step,) = TransactionReader().read(ledger.lubeck.batch(ledger.lubeck.event("e")), below).steps
    issuer = below.issuer(ledger.lubeck.did)
    upper.append_batch(step.jws, step.batch, issuer, step.contents, step.events)
    assert (below.events, below.head) == ((), ledger.state.head)
    below.absorb(upper)
    assert below.events == upper.events
    assert ledger.state.head.position == 0
