"""Proposals, votes and statements wait in queues of their own, which no flood of events holds up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.batches import BatchSigner
from hansa.core.clock import ManualClock
from hansa.core.governance.changes import MemberStatusChange, ParamSet
from hansa.core.governance.proposals import proposal_hash
from hansa.core.governance.statements import EndpointSet
from hansa.pubsub.ledger.results import BUSY_SEQUENCE, QUEUE_FULL, RuleBroken
from hansa.pubsub.ledger.rules.governance import refusals
from hansa.pubsub.ledger.rules.propose import encode_proposal
from hansa.pubsub.ledger.state_machine import Block
from tests.contract.origins import Origin
from tests.support.governed import TIME_MS, GovernedLeague, Governor

BLOCK_SIZE_BYTES = 400_000


def flood(governor: Governor, count: int) -> list[bytes]:
    """Batches of a member, each valid by itself."""
    origin = Origin(governor.name, "Ed25519", time=datetime.fromtimestamp(TIME_MS / 1000, UTC))
    origin.did, origin.signer = governor.did, BatchSigner(governor.key, governor.did, ManualClock())
    return [origin.batch(*origin.events(40)) for _ in range(count)]


def wait(league: GovernedLeague, raw: bytes) -> int:
    """The result code of CheckTx."""
    try:
        league.application.check_tx(raw, league.time_ms)
    except RuleBroken as broken:
        return broken.rule.number
    return 0


def test_a_flood_of_events_holds_up_no_vote_not_even_the_floods_own_senders() -> None:
    league = GovernedLeague()
    for governor in league.governors:
        codes = [wait(league, raw) for raw in flood(governor, 20)]
        assert codes.count(0) >= 4
        assert QUEUE_FULL.number in codes
    lubeck, bergen, riga, _ = league.governors
    compact = league.proposal(lubeck, ParamSet("heartbeat_s", 30))
    assert wait(league, encode_proposal(compact)) == 0
    prepared = league.application.prepare_proposal([], league.time_ms + 1000, BLOCK_SIZE_BYTES)
    assert encode_proposal(compact) in prepared
    league.commit(*prepared)
    votes = [voter.vote(proposal_hash(compact)) for voter in (lubeck, bergen, riga)]
    assert [wait(league, vote) for vote in votes] == [0, 0, 0]
    prepared = league.application.prepare_proposal([], league.time_ms + 1000, BLOCK_SIZE_BYTES)
    assert set(votes) <= set(prepared)
    league.commit(*prepared)
    assert league.state.params.heartbeat_s == 30


def test_a_batch_and_a_vote_of_the_same_number_wait_together() -> None:
    league = GovernedLeague()
    lubeck = league.governors[0]
    assert wait(league, flood(lubeck, 1)[0]) == 0
    first = lubeck.state(EndpointSet(lubeck.endpoint))
    assert wait(league, first) == 0
    lubeck.seq = 0
    other = lubeck.state(EndpointSet("https://other.example"))
    assert wait(league, other) == BUSY_SEQUENCE.number
    league.commit(first)
    assert wait(league, other) == refusals.SENDER_SEQUENCE.number


def test_a_vote_that_comes_before_its_proposal_may_come_again() -> None:
    league = GovernedLeague()
    lubeck, bergen, *_ = league.governors
    compact = league.proposal(lubeck, ParamSet("heartbeat_s", 30))
    vote = bergen.vote(proposal_hash(compact))
    assert wait(league, vote) == refusals.PROPOSAL_UNKNOWN.number
    league.commit(encode_proposal(compact))
    assert wait(league, vote) == 0


def test_the_queue_of_governance_is_bounded() -> None:
    league = GovernedLeague()
    lubeck = league.governors[0]
    codes = [wait(league, lubeck.state(EndpointSet(lubeck.endpoint))) for _ in range(40)]
    assert codes.count(0) <= 16
    assert set(codes) == {0, QUEUE_FULL.number}


def test_what_waits_of_a_suspended_member_is_not_put_into_a_block() -> None:
    league = GovernedLeague()
    lubeck, bergen, riga, bruges = league.governors
    batch = flood(bruges, 1)[0]
    assert wait(league, batch) == 0
    name = league.propose(lubeck, ParamSet("heartbeat_s", 30))
    assert league.outcome(name) == "open"
    suspension = league.propose(bergen, MemberStatusChange(bruges.did, "suspended"))
    for voter in (lubeck, bergen, riga):
        league.commit(voter.vote(suspension))
    assert league.outcome(suspension) == "passed"
    assert league.application.prepare_proposal([batch], league.time_ms + 1000, BLOCK_SIZE_BYTES) == []


@pytest.mark.parametrize("kind", [b"propose", b"vote", b"member"])
@given(st.data())
def test_hostile_bytes_of_every_kind_are_refused_by_a_rule(kind: bytes, data: st.DataObject) -> None:
    league = HOSTILE
    field = {b"propose": b"proposal", b"vote": b"vote", b"member": b"statement"}[kind]
    lubeck = league.governors[0]
    good = {
        b"propose": lambda: encode_proposal(league.proposal(lubeck, ParamSet("heartbeat_s", 30))),
        b"vote": lambda: lubeck.vote("a" * 64),
        b"member": lambda: lubeck.state(EndpointSet("https://hostile.example")),
    }[kind]()
    raw = bytearray(good)
    change = data.draw(st.sampled_from(["flip", "insert", "cut", "text"]))
    at = data.draw(st.integers(0, 10**6)) % len(raw)
    if change == "flip":
        raw[at] ^= data.draw(st.integers(1, 255))
    elif change == "insert":
        raw[at:at] = data.draw(st.binary(min_size=1, max_size=4))
    elif change == "cut":
        del raw[at:]
    else:
        raw = bytearray(b'{"kind":"%b","%b":"%b"}' % (kind, field, data.draw(st.binary(max_size=60))))
    assert league.application.process_proposal(league_block(league, bytes(raw))) is not None


HOSTILE = GovernedLeague()


def league_block(league: GovernedLeague, raw: bytes) -> Block:
    return Block(league.state.head.height + 1, league.time_ms + 1000, (raw,))
