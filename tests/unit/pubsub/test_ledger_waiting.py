"""What waits for a block, over the ABCI methods: bounded, ordered, by turns, never in vain for long."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.core.events import EntityVersion, Metadata, encode_event, event_time
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.results import BUSY_SEQUENCE, QUEUE_FULL
from hansa.pubsub.ledger.rules.events import AHEAD_OF_TIME, ISSUER, SEQUENCE, SIGNATURE, VERSION
from hansa.pubsub.ledger.rules.quotas import EVENTS_QUOTA
from hansa.pubsub.ledger.state import BlockEffects
from hansa.pubsub.ledger.state_machine import Block
from hansa.pubsub.ledger.waiting import queues, waiting_max
from tests.contract.origins import NOW, Origin
from tests.support.engine_in_process import BLOCK_SIZE_MAX_BYTES, EngineInProcess

NAMES = ("lubeck", "bergen", "riga", "bruges")


def league(params: LedgerParams | None = None) -> tuple[EngineInProcess, list[Origin]]:
    """Four members, and the engine of one."""
    origins = [Origin(name) for name in NAMES]
    return EngineInProcess([origin.member for origin in origins], params), origins


def large(origin: Origin, count: int = 40) -> bytes:
    """A batch of some 70 kB."""
    metadata = Metadata(categories=("x" * 100,) * 14)
    return origin.batch(*[origin.event(origin.event_id(), metadata=metadata) for _ in range(count)])


def tampered(raw: bytes, other: bytes) -> bytes:
    """A batch with the signature of another one."""
    head, middle, rest = raw.partition(b'","events":')
    signature = other.partition(middle)[0].rpartition(b".")[2]
    return head.rpartition(b".")[0] + b"." + signature + middle + rest


# -- bounds ----------------------------------------------------------------------------------------------------


def test_a_flood_fills_the_queue_of_its_member_alone() -> None:
    engine, (flooder, honest, *_) = league()
    answers = [engine.submit(flooder.batch(*flooder.events(5))) for _ in range(100)]
    assert [answer.code for answer in answers[:16]] == [0] * 16
    assert {answer.code for answer in answers[16:]} == {QUEUE_FULL.number}
    assert {int(answer.data) for answer in answers[16:]} == {queues.FULL_WAIT_MS}
    assert engine.submit(honest.batch(*honest.events(1))).code == 0


def test_bytes_are_bounded_for_each_and_shared_by_all() -> None:
    engine, origins = league()
    for origin in origins:
        while engine.submit(large(origin)).code == 0:
            pass
    waiting = engine.application.waiting
    sizes = [sum(len(one.raw) for one in waiting.queue(origin.did)) for origin in origins]
    assert sizes[0] <= queues.QUEUE_SIZE_MAX_BYTES
    assert sizes == sorted(sizes, reverse=True)
    assert min(sizes) > queues.WAITING_SIZE_MAX_BYTES // len(origins) - 80_000
    count_max, size_max_bytes = waiting_max(len(origins), LedgerParams())
    assert len(waiting) <= count_max
    assert waiting.size_bytes <= size_max_bytes


def test_what_is_not_verified_takes_nobodys_place() -> None:
    engine, (victim, *_) = league()
    stranger = Origin("stranger")
    other = victim.batch(*victim.events(1), seq=99)
    for seq in range(1, 50):
        raw = tampered(victim.batch(*victim.events(1), seq=seq), other)
        assert engine.submit(raw).code == SIGNATURE.number
        assert engine.submit(stranger.batch(*stranger.events(1))).code == ISSUER.number
    assert not engine.application.waiting.queue(victim.did)
    assert [engine.submit(victim.batch(*victim.events(1))).code for _ in range(16)] == [0] * 16


def test_a_full_queue_refuses_before_anything_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, (flooder, *_) = league()
    batches = [flooder.batch(*flooder.events(1)) for _ in range(16)]
    assert [engine.submit(raw).code for raw in batches] == [0] * 16
    monkeypatch.setattr("hansa.pubsub.ledger.transactions.TransactionReader.read", None)
    assert engine.submit(tampered(flooder.batch(*flooder.events(1)), batches[0])).code == QUEUE_FULL.number


def test_one_number_waits_once() -> None:
    engine, (origin, *_) = league()
    first, second = origin.batch(*origin.events(1), seq=7), origin.batch(*origin.events(1), seq=7)
    assert engine.submit(first).code == 0
    assert engine.submit(first).code == 0
    assert engine.submit(second).code == BUSY_SEQUENCE.number
    assert engine.submit(first[:-3] + b"x" + first[-2:]).code == BUSY_SEQUENCE.number
    assert engine.block() == [first]
    assert engine.submit(second).code == SEQUENCE.number


# -- order and turns -------------------------------------------------------------------------------------------


def test_a_block_has_something_of_each_whatever_the_engines_order() -> None:
    engine, (flooder, *others) = league()
    while engine.submit(large(flooder)).code == 0:
        pass
    small = [other.batch(*other.events(1)) for other in others]
    assert [engine.submit(raw).code for raw in small] == [0, 0, 0]
    first = engine.block()
    assert set(small) <= set(first)
    assert len(first) > len(small)


def test_turns_go_by_bytes() -> None:
    engine, (one, other, *_) = league()
    for _ in range(4):
        engine.submit(large(one))
    for _ in range(16):
        engine.submit(other.batch(*other.events(40)))
    block = engine.block()
    sizes = [sum(len(raw) for raw in block if (len(raw) > 50_000) is is_large) for is_large in (True, False)]
    assert min(sizes) > BLOCK_SIZE_MAX_BYTES / 2 - 80_000


def test_a_flood_makes_the_blocks_of_the_others_little_larger() -> None:
    engine, (flooder, *others) = league()
    for _ in range(14):
        assert engine.submit(large(flooder)).code == 0
    for other in others:
        assert [engine.submit(large(other)).code for _ in range(1)] == [0]
    block = engine.block()
    assert len(block) == len(others) + 1
    assert len(engine.application.waiting.queue(flooder.did)) == 13


def test_a_flood_makes_small_blocks_while_others_have_nothing_waiting_for_a_moment() -> None:
    engine, (flooder, honest, *_) = league()
    for _ in range(queues.QUEUE_TRANSACTIONS_MAX):
        assert engine.submit(large(flooder, 30)).code == 0
    assert len(engine.block()) == 2
    assert engine.submit(honest.batch(*honest.events(1))).code == 0
    assert [len(engine.block()) for _ in range(8)] == [1, 0, 1, 0, 1, 0, 1, 0]
    for _ in range(3):
        engine.decide([])
    assert len(engine.block()) == 2


def test_a_publisher_that_submits_as_usual_is_not_bounded_beside_smaller_ones() -> None:
    engine, (one, other, *_) = league()
    for _ in range(4):
        assert engine.submit(large(one, 20)).code == 0
    assert engine.submit(other.batch(*other.events(1))).code == 0
    assert len(engine.block()) == 5


def test_batches_are_committed_in_the_order_of_their_numbers_whatever_order_they_come_in() -> None:
    engine, (origin, *_) = league()
    batches = [origin.batch(*origin.events(1)) for _ in range(10)]
    for raw in reversed(batches):
        assert engine.submit(raw).code == 0
    assert engine.block() == batches


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_queues_are_bounded_ordered_and_emptied(data: st.DataObject) -> None:
    """Whatever members submit, nothing waits for ever and nothing makes blocks without end."""
    engine, origins = league()
    waiting = engine.application.waiting
    for _ in range(data.draw(st.integers(1, 25))):
        origin = data.draw(st.sampled_from(origins))
        action = data.draw(st.sampled_from(["new", "again", "change", "skip", "block", "other", "silence"]))
        if action == "block":
            engine.block()
        elif action == "silence":
            engine.pass_s(data.draw(st.floats(0, 90)))
        elif action == "other":  # a block of another proposer with what this member has not seen
            content = data.draw(st.sampled_from(["seen", "new"]))
            engine.decide([origin.batch(*origin.events(1))] if content == "new" else [])
        elif action == "again" and waiting.queue(origin.did):
            engine.submit(waiting.queue(origin.did)[-1].raw)
        elif action == "change":
            name = data.draw(st.sampled_from(["a", "b", "c"]))
            engine.submit(origin.batch(origin.event(name)))
        elif action == "skip":
            origin.seq += data.draw(st.integers(1, 3))
        else:
            engine.submit(origin.batch(*origin.events(data.draw(st.integers(1, 3)))))
        for member in origins:
            seqs = [one.sender.seq for one in waiting.queue(member.did)]
            assert seqs == sorted(set(seqs))
            assert len(seqs) <= queues.QUEUE_TRANSACTIONS_MAX
            assert not seqs or seqs[0] > engine.application.state.issuer(member.did).seq
    engine.run(60)
    assert len(waiting) == 0


@given(st.permutations(range(6)))
@settings(deadline=None, max_examples=30)
def test_each_block_serves_whoever_waited_longest(order: list[int]) -> None:
    """With room for two transactions in a block, six members have their turn within three blocks."""
    origins = [Origin(f"member-{n}") for n in range(6)]
    engine = EngineInProcess([origin.member for origin in origins])
    for n in order:
        for _ in range(2):
            assert engine.submit(large(origins[n], 75)).code == 0
    committed = [engine.block() for _ in range(6)]
    assert [len(block) for block in committed[:3]] == [2, 2, 2]
    served = [engine.application.state.issuer(origin.did).seq for origin in origins]
    assert min(served) >= 1


# -- chains ----------------------------------------------------------------------------------------------------


def test_a_version_may_be_ahead_behind_the_predecessor_that_waits() -> None:
    engine, (origin, *_) = league()
    batches = [origin.batch(origin.event("entity")) for _ in range(4)]
    assert [engine.submit(raw).code for raw in batches] == [0] * 4
    assert engine.block() == batches


def test_a_version_behind_another_predecessor_is_refused() -> None:
    engine, (origin, *_) = league()
    assert engine.submit(origin.batch(origin.event("entity"))).code == 0
    other = origin.describe("other").hashlink
    ahead = encode_event(origin.describe("entity", "AttributeValueChange", previous=other))
    assert engine.submit(origin.batch(ahead)).code != 0


def test_a_version_may_continue_what_is_just_being_decided() -> None:
    """The proposal came before the transaction did."""
    engine, (origin, *_) = league()
    first, second = origin.batch(origin.event("entity")), origin.batch(origin.event("entity"))
    fields = {"txs": [first], "height": 1, "time": {"seconds": int(NOW.timestamp())}}
    assert engine.submit(second).code == VERSION.number
    assert engine.ask("process_proposal", "RequestProcessProposal", **fields).status == 1
    assert engine.submit(second).code == 0
    engine.decide([first])
    assert engine.block() == [second]


def test_what_continues_a_proposal_that_is_not_decided_is_dropped() -> None:
    engine, (origin, *_) = league()
    first, second = origin.batch(origin.event("entity")), origin.batch(origin.event("entity"))
    fields = {"txs": [first], "height": 1, "time": {"seconds": int(NOW.timestamp())}}
    engine.ask("process_proposal", "RequestProcessProposal", **fields)
    assert engine.submit(second).code == 0
    assert engine.run() <= 1
    assert len(engine.application.waiting) == 0


def test_events_that_are_submitted_again_wait_beside_the_first_and_are_committed_once() -> None:
    engine, (origin, *_) = league()
    contents = origin.events(3)
    first, again = origin.batch(*contents), origin.batch(*contents)
    following = origin.batch(*origin.events(1))
    assert [engine.submit(raw).code for raw in (first, again, following)] == [0, 0, 0]
    assert engine.block() == [first, following]
    assert engine.run() == 0
    assert len(engine.application.waiting) == 0


def test_a_batch_that_overtook_a_waiting_one_removes_it_and_what_it_contradicts() -> None:
    engine, (origin, *_) = league()
    one = origin.batch(origin.event("entity"))
    two = origin.batch(origin.event("entity"))
    assert [engine.submit(raw).code for raw in (one, two)] == [0, 0]
    engine.decide([origin.batch(origin.event("stranger"), seq=9)])
    assert not engine.mempool
    three = origin.batch(origin.event("entity"), seq=10)
    assert engine.submit(three).code == VERSION.number


# -- nothing waits in vain -------------------------------------------------------------------------------------


def test_a_second_version_without_a_first_makes_no_block() -> None:
    engine, (origin, *_) = league()
    entity = EntityVersion(origin.key_of("gap"), "ProductOffering", 2)
    gap = origin.event("gap", entity=entity, previous=origin.describe("gap").hashlink)
    assert engine.submit(origin.batch(gap)).code == VERSION.number
    assert engine.run() == 0
    assert engine.blocks == []


@pytest.mark.parametrize("silence_s", [0, 30, 60, 3600])
@pytest.mark.parametrize("ahead_s", [0, 299, 300, 301, 400])
def test_a_time_ahead_makes_three_empty_blocks_at_most(silence_s: int, ahead_s: int) -> None:
    engine, (origin, *_) = league()
    engine.pass_s(silence_s)
    at = engine.clock.now() + timedelta(seconds=ahead_s)
    answer = engine.submit(origin.batch(origin.event("new", time=event_time(at))))
    assert (answer.code == 0) is (ahead_s <= 300)
    assert answer.code in {0, AHEAD_OF_TIME.number}
    assert engine.run() <= queues.LATE_BLOCKS_MAX
    if ahead_s < 300:
        assert engine.application.state.head.position == 1


def test_a_member_whose_clock_is_ahead_makes_three_empty_blocks_for_a_transaction_and_no_more() -> None:
    engine, (origin, *_) = league()
    engine.clock.moment = NOW + timedelta(seconds=100)
    raw = origin.batch(origin.event("new", time=event_time(NOW + timedelta(seconds=390))))
    assert engine.submit(raw).code == 0
    engine.clock.moment = NOW
    assert engine.run() <= queues.LATE_BLOCKS_MAX
    made = len(engine.blocks)
    for _ in range(10):  # the same again: block time decides now
        engine.clock.moment = NOW + timedelta(seconds=100)
        assert engine.submit(raw).code == AHEAD_OF_TIME.number
        engine.clock.moment = NOW
    assert engine.run() == 0
    assert len(engine.blocks) == made


def test_a_quota_makes_three_empty_blocks_at_most_and_its_wait_suffices() -> None:
    params = LedgerParams(issuer_events_per_s=10, issuer_burst_s=10)
    engine, (origin, *_) = league(params)
    assert engine.submit(origin.batch(*origin.events(60))).code == 0
    assert engine.submit(origin.batch(*origin.events(60))).code == EVENTS_QUOTA.number  # with what waits
    engine.run()
    refused = engine.submit(origin.batch(*origin.events(60)))
    assert refused.code == EVENTS_QUOTA.number
    engine.pass_s(int(refused.data) / 1000)
    assert engine.submit(origin.batch(*origin.events(60))).code == 0
    assert engine.run() <= queues.LATE_BLOCKS_MAX
    assert engine.application.state.head.position == 120


def test_what_exceeds_a_quota_by_other_batches_is_dropped() -> None:
    """Its issuer sent others elsewhere meanwhile."""
    params = LedgerParams(issuer_events_per_s=1, issuer_burst_s=100)
    engine, (origin, *_) = league(params)
    elsewhere = origin.batch(*origin.events(100))
    assert engine.submit(origin.batch(*origin.events(100))).code == 0
    engine.decide([elsewhere])
    assert engine.run() <= queues.LATE_BLOCKS_MAX
    assert len(engine.application.waiting) == 0


def test_an_event_that_became_too_old_while_it_waited_is_dropped() -> None:
    engine, (origin, *_) = league()
    old = origin.event("old", time=event_time(NOW - timedelta(seconds=86_390)))
    assert engine.submit(origin.batch(old)).code == 0
    engine.decide([])
    engine.pass_s(60)
    engine.decide([])
    assert engine.run() <= 1
    assert len(engine.application.waiting) == 0


def test_proposers_that_make_empty_blocks_cannot_keep_a_league_busy_for_ever() -> None:
    engine, (origin, *_) = league()
    assert engine.submit(origin.batch(*origin.events(1))).code == 0
    for _ in range(len(NAMES) + 1):
        assert engine.mempool
        engine.decide([])
    assert not engine.mempool


def test_a_change_of_the_registry_has_everything_checked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, (origin, other, *_) = league()
    assert engine.submit(origin.batch(*origin.events(1))).code == 0
    assert engine.submit(other.batch(*other.events(1))).code == 0
    suspended = msgspec.structs.replace(origin.member, status="suspended")
    finalize = engine.application.finalize_block

    def with_suspension(block: Block) -> BlockEffects:
        effects = msgspec.structs.replace(finalize(block), members=(suspended,))
        monkeypatch.setattr(engine.application, "_pending", (block, effects))
        return effects

    monkeypatch.setattr(engine.application, "finalize_block", with_suspension)
    engine.decide([])
    assert [one.sender.did for one in engine.application.waiting.queue(other.did)] == [other.did]
    assert not engine.application.waiting.queue(origin.did)
    assert len(engine.mempool) == 1


def test_an_engine_whose_application_knows_nothing_of_its_mempool_proposes_from_it() -> None:
    engine, (origin, *_) = league()
    raw = origin.batch(*origin.events(1))
    engine.mempool.append(raw)
    assert engine.block() == [raw]


# -- cost ------------------------------------------------------------------------------------------------------


def test_a_recheck_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, (origin, *_) = league()
    batches = [origin.batch(*origin.events(100)) for _ in range(10)]
    assert [engine.submit(raw).code for raw in batches] == [0] * 10
    for name in ("claim", "has_event", "member", "issuer"):
        monkeypatch.setattr(f"hansa.pubsub.ledger.sqlite_state.SqliteState.{name}", None)
    codes = [engine.ask("check_tx", "RequestCheckTx", tx=raw, type=1).code for raw in batches]
    assert codes == [0] * 10


def test_signatures_are_not_verified_for_look_alikes(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, (origin, *_) = league()
    raw = origin.batch(*origin.events(50))
    engine.submit(raw)
    engine.block()
    monkeypatch.setattr("hansa.pubsub.ledger.rules.signatures.Signatures.verify", None)
    for end in range(1, 50):
        assert engine.submit(raw[:-end]).code == SEQUENCE.number
    assert engine.submit(raw).code == SEQUENCE.number


def test_a_batch_beyond_the_quota_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    params = LedgerParams(issuer_events_per_s=10, issuer_burst_s=10)
    engine, (origin, *_) = league(params)
    assert engine.submit(origin.batch(*origin.events(100))).code == 0
    monkeypatch.setattr("hansa.pubsub.ledger.transactions.TransactionReader.read", None)
    monkeypatch.setattr("hansa.pubsub.ledger.rules.signatures.Signatures.verify", None)
    assert engine.submit(origin.batch(*origin.events(10))).code == EVENTS_QUOTA.number


def test_what_is_forged_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, (origin, *_) = league()
    forged = tampered(origin.batch(*origin.events(1)), origin.batch(*origin.events(1)))
    monkeypatch.setattr("hansa.pubsub.ledger.transactions.TransactionReader.read", None)
    assert engine.submit(forged).code == SIGNATURE.number


def test_a_batch_that_came_before_its_predecessor_is_accepted_after_it() -> None:
    engine, (origin, *_) = league()
    first, second = origin.batch(origin.event("entity")), origin.batch(origin.event("entity"))
    assert engine.submit(second).code == VERSION.number
    assert engine.submit(first).code == 0
    assert engine.submit(second).code == 0
    assert engine.block() == [first, second]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_one_member_proposes_all_accept_whatever_waits_at_them(data: st.DataObject) -> None:
    """Transactions reach some members and not others; block time and quotas are the same for all."""
    params = LedgerParams(issuer_events_per_s=20, issuer_burst_s=5)
    origins = [Origin(name) for name in NAMES]
    engines = [EngineInProcess([origin.member for origin in origins], params) for _ in range(3)]
    for _ in range(data.draw(st.integers(1, 15))):
        for _ in range(data.draw(st.integers(0, 5))):
            origin = data.draw(st.sampled_from(origins))
            names = data.draw(st.lists(st.sampled_from("abc"), max_size=2, unique=True))
            raw = origin.batch(*[origin.event(name) for name in names], *origin.events(1))
            for engine in data.draw(st.lists(st.sampled_from(engines), unique=True)):
                engine.submit(raw)
        proposed = data.draw(st.sampled_from(engines)).propose()
        for engine in engines:
            engine.decide(proposed)
        assert len({engine.application.state.head.app_hash for engine in engines}) == 1
