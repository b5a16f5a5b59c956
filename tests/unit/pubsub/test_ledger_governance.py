"""What members decide, and what nobody can make the ledger do."""

from __future__ import annotations

import msgspec
import pytest

from hansa.core.governance.changes import (
    MemberPut,
    MemberStatusChange,
    ParamSet,
    ValidatorPower,
)
from hansa.core.governance.elements import BaseElement
from hansa.core.governance.proposals import PROPOSAL, proposal_hash, read_proposal
from hansa.core.governance.statements import (
    AgreementSet,
    EndpointSet,
    KeyRevoke,
    KeyRotate,
    Leave,
    NodesSet,
)
from hansa.core.keys import SigningKey
from hansa.pubsub.ledger.commitments.histories import ledger_history
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.rules.governance import refusals
from hansa.pubsub.ledger.rules.governance.powers import powers
from hansa.pubsub.ledger.rules.governance.tables import (
    DECISIONS,
    PROPOSALS,
    SENDERS,
    TASKS,
    VOTES,
)
from hansa.pubsub.ledger.rules.propose import encode_proposal
from hansa.pubsub.ledger.rules.vote import encode_vote
from hansa.pubsub.ledger_records import Misbehavior
from tests.support.governed import PARAMS, TIME_MS, GovernedLeague, Governor

DAY_S = 86_400


@pytest.fixture
def league() -> GovernedLeague:
    return GovernedLeague()


# -- proposals and votes -------------------------------------------------------------------------------------


def test_a_proposal_takes_effect_in_the_block_of_the_deciding_vote(league: GovernedLeague) -> None:
    lubeck, bergen, riga, _ = league.governors
    name = league.propose(lubeck, ParamSet("heartbeat_s", 30))
    league.commit(lubeck.vote(name), bergen.vote(name))
    assert league.state.params.heartbeat_s == 60
    assert league.outcome(name) == "open"
    league.commit(riga.vote(name))
    assert league.state.params.heartbeat_s == 30
    assert league.outcome(name) == "passed"


def test_two_thirds_are_not_more_than_two_thirds() -> None:
    league = GovernedLeague(("lubeck", "bergen", "riga"))
    lubeck, bergen, riga = league.governors
    name = league.propose(lubeck, ParamSet("heartbeat_s", 30))
    league.commit(lubeck.vote(name), bergen.vote(name))
    assert league.outcome(name) == "open"
    league.commit(riga.vote(name))
    assert league.outcome(name) == "passed"


def test_the_last_vote_of_a_voter_counts_and_each_once(league: GovernedLeague) -> None:
    lubeck, bergen, riga, bruges = league.governors
    name = league.propose(lubeck, ParamSet("heartbeat_s", 30))
    league.commit(*(lubeck.vote(name) for _ in range(5)), bergen.vote(name, "no"), riga.vote(name))
    assert league.outcome(name) == "open"
    league.commit(lubeck.vote(name, "no"), bergen.vote(name), bruges.vote(name, "no"))
    assert league.outcome(name) == "open"
    league.commit(bruges.vote(name))
    assert league.outcome(name) == "passed"


def test_a_vote_of_a_stranger_of_another_league_or_replayed_is_refused(league: GovernedLeague) -> None:
    lubeck, bergen, *_ = league.governors
    name = league.propose(lubeck, ParamSet("heartbeat_s", 30))
    vote = bergen.vote(name)
    assert league.numbers(vote) == [0]
    assert league.numbers(vote) == [refusals.SENDER_SEQUENCE.number]
    stranger = league.candidate("stranger")
    assert league.numbers(stranger.vote(name)) == [refusals.SENDER_UNKNOWN.number]
    foreign = Governor("lubeck", "b" * 64)
    foreign.key, foreign.did, foreign.seq = lubeck.key, lubeck.did, 1000
    assert league.numbers(foreign.vote(name)) == [refusals.LEAGUE.number]
    forged = Governor("lubeck", league.league)
    forged.did, forged.seq = lubeck.did, 1000
    assert league.numbers(forged.vote(name)) == [refusals.SENDER_KEY.number]
    forged.key = SigningKey(forged.key._key, lubeck.key.kid)
    assert league.numbers(forged.vote(name)) == [refusals.SENDER_SIGNATURE.number]


def test_a_vote_on_nothing_is_refused_and_may_come_again(league: GovernedLeague) -> None:
    lubeck, *_ = league.governors
    assert league.numbers(lubeck.vote("a" * 64)) == [refusals.PROPOSAL_UNKNOWN.number]


def test_who_has_no_power_cannot_vote_and_who_lost_it_does_not_count(league: GovernedLeague) -> None:
    lubeck, bergen, riga, bruges = league.governors
    name = league.propose(lubeck, ParamSet("heartbeat_s", 30))
    league.commit(bruges.vote(name), lubeck.vote(name))
    league.commit(misbehavior=[Misbehavior(bruges.address, 1, "duplicate_vote")])
    assert league.numbers(bruges.vote(name)) == [refusals.VOTER.number]
    league.commit(bergen.vote(name))
    assert league.outcome(name) == "open", "two of three are not more than two thirds"
    league.commit(riga.vote(name))
    assert league.outcome(name) == "passed"


def test_evidence_decides_what_has_enough_votes_of_those_who_are_left() -> None:
    league = GovernedLeague(("lubeck", "bergen", "riga", "bruges", "visby"))
    lubeck, bergen, riga, _bruges, visby = league.governors
    name = league.propose(lubeck, ParamSet("heartbeat_s", 30))
    league.commit(lubeck.vote(name), bergen.vote(name), riga.vote(name))
    assert league.outcome(name) == "open"
    league.commit(misbehavior=[Misbehavior(visby.address, 1, "duplicate_vote")])
    assert league.outcome(name) == "passed"


def test_a_proposal_is_void_when_what_it_touches_has_changed(league: GovernedLeague) -> None:
    first = league.propose(league.governors[0], ParamSet("heartbeat_s", 30))
    second = league.propose(league.governors[1], ParamSet("heartbeat_s", 40))
    for voter in league.governors[:3]:
        league.commit(voter.vote(first))
    league.commit()
    assert (league.outcome(first), league.outcome(second)) == ("passed", "void")
    decision = DECISIONS.get(league.state, second)
    assert decision is not None
    assert "param/heartbeat_s" in decision.reason


def test_nobody_voids_a_proposal_against_itself_by_a_statement(league: GovernedLeague) -> None:
    lubeck, bergen, riga, bruges = league.governors
    name = league.propose(lubeck, MemberStatusChange(bruges.did, "removed"))
    new = SigningKey.generate()
    league.commit(
        bruges.state(EndpointSet("https://elsewhere.example")),
        bruges.state(KeyRotate(bruges.possession(new))),
        bruges.state(NodesSet((bruges.possession(bruges.node, "node"),))),
    )
    for voter in (lubeck, bergen, riga):
        league.commit(voter.vote(name))
    assert league.outcome(name) == "passed"
    assert bruges.address not in powers(league.state)


@pytest.mark.parametrize("alter", ["more", "less", "old", "order"])
def test_base_names_exactly_what_the_changes_touch(league: GovernedLeague, alter: str) -> None:
    lubeck = league.governors[0]
    proposal, _ = read_proposal(
        league.proposal(lubeck, ParamSet("heartbeat_s", 30), ParamSet("issuer_burst_s", 60))
    )
    first, second = proposal.base
    base = {
        "more": (first, second, BaseElement("param/nothing")),
        "less": (first,),
        "old": (first, msgspec.structs.replace(second, hash="a" * 64)),
        "order": (second, first),
    }[alter]
    compact = PROPOSAL.sign(msgspec.structs.replace(proposal, base=base), lubeck.key, 1)
    assert league.numbers(encode_proposal(compact)) == [refusals.BASE.number]


def test_proposals_expire_by_height_and_by_time_and_are_forgotten(league: GovernedLeague) -> None:
    lubeck, bergen, riga, _ = league.governors
    by_height = league.propose(lubeck, ParamSet("heartbeat_s", 30), blocks=3)
    by_time = league.propose(lubeck, ParamSet("heartbeat_s", 31), life_s=10)
    league.commit(riga.vote(by_height))
    league.commit()
    assert league.outcome(by_height) == "expired"
    assert league.outcome(by_time) == "open"
    league.commit(seconds=11)
    assert league.outcome(by_time) == "expired"
    assert league.numbers(bergen.vote(by_time)) == [refusals.PROPOSAL_UNKNOWN.number]
    league.commit(seconds=PARAMS.proposal_retention_s + 1)
    assert DECISIONS.keys(league.state) == ()
    assert VOTES.keys(league.state) == ()
    league.commit()
    assert TASKS.keys(league.state, "time/") == ()


def test_proposals_are_bounded_in_life_size_and_number() -> None:
    league = GovernedLeague(params=msgspec.structs.replace(PARAMS, proposals_open_per_proposer_max=2))
    lubeck, bergen, *_ = league.governors
    change = ParamSet("heartbeat_s", 30)
    for blocks, life_s in ((0, 10), (10**9, 10), (10, 10**7)):
        compact = league.proposal(lubeck, change, blocks=blocks, life_s=life_s)
        assert league.numbers(encode_proposal(compact)) == [refusals.EXPIRY.number]
    for _ in range(2):
        league.propose(lubeck, change)
    assert league.numbers(encode_proposal(league.proposal(lubeck, change))) == [refusals.TOO_MANY.number]
    league.propose(bergen, change)
    many = [ParamSet("heartbeat_s", number + 1) for number in range(16)]
    small = msgspec.structs.replace(PARAMS, proposal_size_max_bytes=4096)
    tight = GovernedLeague(params=small)
    large = tight.proposal(
        tight.governors[0], *(MemberPut(tight.candidate("x").candidacy()) for _ in range(2))
    )
    assert len(many) == 16
    assert tight.numbers(encode_proposal(large)) == [refusals.PROPOSAL_SIZE.number]


def test_an_id_is_used_once(league: GovernedLeague) -> None:
    lubeck = league.governors[0]
    compact = league.proposal(lubeck, ParamSet("heartbeat_s", 30))
    proposal, _ = read_proposal(compact)
    again = PROPOSAL.sign(msgspec.structs.replace(proposal, seq=lubeck.next_seq()), lubeck.key, 1)
    assert league.numbers(encode_proposal(compact), encode_proposal(again)) == [
        0,
        refusals.PROPOSAL_ID.number,
    ]


def test_governance_has_a_quota_of_its_own() -> None:
    params = LedgerParams(governance_burst_units=32, governance_units_per_hour=3600)
    league = GovernedLeague(params=params)
    lubeck = league.governors[0]
    votes = [lubeck.state(EndpointSet(lubeck.endpoint)) for _ in range(34)]
    numbers = league.numbers(*votes)
    assert numbers == [0] * 32 + [refusals.QUOTA.number] * 2
    assert league.numbers(votes[-1], seconds=2) == [0]


# -- members -------------------------------------------------------------------------------------------------


def test_a_candidate_is_admitted_with_power_by_vote(league: GovernedLeague) -> None:
    visby = league.candidate("visby")
    assert league.decide(MemberPut(visby.candidacy(), 10, ("urn:visby:",))) == "passed"
    admitted = league.state.member(visby.did)
    assert admitted is not None
    assert (admitted.power, admitted.prefixes, len(admitted.node_ids)) == (10, ("urn:visby:",), 1)
    assert powers(league.state)[visby.address] == 10
    name = league.propose(visby, ParamSet("heartbeat_s", 30))
    assert league.numbers(visby.vote(name)) == [0]


def test_nobody_registers_a_foreign_key(league: GovernedLeague) -> None:
    lubeck, bergen, *_ = league.governors
    thief = league.candidate("thief")
    stolen = bergen.possession(bergen.validator, "validator")
    for fields, rule in (
        ({"validator": stolen}, refusals.POSSESSION),
        ({"nodes": (thief.possession(thief.node),)}, refusals.POSSESSION),
        ({"keys": (thief.possession(thief.key), bergen.possession(bergen.key))}, refusals.POSSESSION),
        ({"league": "b" * 64}, refusals.LEAGUE),
    ):
        change = MemberPut(thief.candidacy(**fields), 1)
        assert league.numbers(encode_proposal(league.proposal(lubeck, change))) == [rule.number]
    forged = thief.candidacy(signer=SigningKey(SigningKey.generate("Ed25519")._key, thief.key.kid))
    assert league.numbers(encode_proposal(league.proposal(lubeck, MemberPut(forged)))) == [
        refusals.POSSESSION.number
    ]


def test_what_anybody_ever_had_nobody_else_gets(league: GovernedLeague) -> None:
    lubeck, _, _, bruges = league.governors
    old = bruges.endpoint
    league.commit(bruges.state(EndpointSet("https://new.example")))
    assert league.decide(MemberStatusChange(bruges.did, "removed")) == "passed"
    for _ in range(4):
        league.commit()
    removed = league.state.member(bruges.did)
    assert removed is not None
    assert (removed.status, removed.power, removed.node_ids) == ("removed", 0, ())
    for fields in (
        {"endpoint": old},
        {"endpoint": "https://new.example"},
    ):
        visby = league.candidate("visby")
        change = MemberPut(visby.candidacy(endpoint=fields["endpoint"]))
        assert league.numbers(encode_proposal(league.proposal(lubeck, change))) == [refusals.TAKEN.number]
    visby = league.candidate("visby")
    visby.validator = bruges.validator
    assert league.numbers(encode_proposal(league.proposal(lubeck, MemberPut(visby.candidacy(), 1)))) == [
        refusals.TAKEN.number
    ]
    bruges.endpoint = "https://third.example"
    change = MemberPut(bruges.candidacy())
    assert league.numbers(encode_proposal(league.proposal(lubeck, change))) == [refusals.CHANGE.number]


def test_a_key_of_one_use_is_no_key_of_another(league: GovernedLeague) -> None:
    lubeck, bergen, *_ = league.governors
    stolen = KeyRotate(lubeck.possession(lubeck.validator))
    assert league.numbers(lubeck.state(stolen)) == [refusals.TAKEN.number]
    visby = league.candidate("visby")
    visby.node = visby.validator
    assert league.numbers(encode_proposal(league.proposal(bergen, MemberPut(visby.candidacy(), 1)))) == [0]


def test_a_key_is_rotated_with_overlap_and_old_batches_stay_verifiable(league: GovernedLeague) -> None:
    lubeck = league.governors[0]
    old, new = lubeck.key, SigningKey.generate()
    rotate = KeyRotate(lubeck.possession(new), overlap_s=60, replaces=old.kid)
    assert league.numbers(lubeck.state(rotate)) == [0]
    assert league.numbers(
        lubeck.state(EndpointSet(lubeck.endpoint)), lubeck.state(EndpointSet(lubeck.endpoint), new)
    ) == [0, 0]
    numbers = league.numbers(lubeck.state(EndpointSet(lubeck.endpoint)), seconds=61)
    assert numbers == [refusals.SENDER_KEY.number]
    history = ledger_history(league.state.records("history"))
    assert history.key(lubeck.did, old.kid, 1) is None, "no event had a position before it was retired"
    assert history.key(lubeck.did, new.kid, 1) == new.public
    lubeck.key = new
    back = KeyRotate(lubeck.possession(old))
    assert league.numbers(lubeck.state(back)) == [refusals.TAKEN.number]
    assert league.numbers(lubeck.state(KeyRevoke(new.kid))) == [refusals.CHANGE.number]


def test_a_key_is_registered_by_its_owner_alone(league: GovernedLeague) -> None:
    lubeck, bergen, *_ = league.governors
    new = SigningKey.generate()
    stolen = bergen.possession(new)
    assert league.numbers(lubeck.state(KeyRotate(stolen))) == [refusals.POSSESSION.number]
    assert league.numbers(lubeck.state(KeyRotate(lubeck.possession(bergen.key)))) == [refusals.TAKEN.number]


def test_an_endpoint_is_one_members_for_ever_and_old_locations_stay(league: GovernedLeague) -> None:
    lubeck, bergen, *_ = league.governors
    assert league.numbers(
        bergen.state(EndpointSet(lubeck.endpoint)),
        bergen.state(EndpointSet("HTTPS://bergen.example")),
        bergen.state(EndpointSet("https://bergen.example:99999")),
        bergen.state(EndpointSet("https://bergen.example/path")),
    ) == [refusals.TAKEN.number, *[refusals.CHANGE.number] * 3]
    assert league.numbers(bergen.state(EndpointSet("https://new.example:8443"))) == [0]
    assert league.numbers(bergen.state(EndpointSet(bergen.endpoint))) == [0], "it may go back"


def test_a_member_leaves_its_power_first_and_then_its_membership(league: GovernedLeague) -> None:
    bruges = league.governors[3]
    effects = league.commit(bruges.state(Leave()))
    assert [(one.address, one.power) for one in effects.validators] == [(bruges.address, 0)]
    left = league.state.member(bruges.did)
    assert left is not None
    assert left.status == "active"
    for _ in range(3):
        league.commit()
    left = league.state.member(bruges.did)
    assert left is not None
    assert left.status == "left"
    assert league.numbers(bruges.state(EndpointSet("https://again.example"))) == [
        refusals.SENDER_UNKNOWN.number
    ]


def test_the_last_validator_cannot_leave() -> None:
    league = GovernedLeague(("lubeck",))
    assert league.numbers(league.governors[0].state(Leave())) == [refusals.POWER_NONE.number]


# -- limits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        ParamSet("nothing", 1),
        ParamSet("heartbeat_s", 0),
        ParamSet("transaction_size_max_bytes", 100),
        ParamSet("threshold_param_sixtieths", 29),
        ParamSet("threshold_param_sixtieths", 60),
        ParamSet("issuer_bytes_per_day", 1),
        ParamSet("proposals_open_max", 1),
        ParamSet("governance_burst_units", 1),
    ],
)
def test_no_limit_makes_governance_impossible(league: GovernedLeague, change: ParamSet) -> None:
    compact = league.proposal(league.governors[0], change)
    assert league.numbers(encode_proposal(compact)) == [refusals.CHANGE.number]


def test_a_failing_change_undoes_the_others(league: GovernedLeague) -> None:
    lubeck, bergen, riga, bruges = league.governors
    one = league.propose(lubeck, ParamSet("heartbeat_s", 30), ValidatorPower(bruges.did, 0))
    two = league.propose(lubeck, ValidatorPower(riga.did, 0))
    for voter in (lubeck, bergen, bruges):
        league.commit(voter.vote(two))
    for voter in (lubeck, bergen, bruges):
        league.commit(voter.vote(one))
    assert (league.outcome(two), league.outcome(one)) == ("passed", "failed")
    assert league.state.params.heartbeat_s == 60
    assert powers(league.state)[bruges.address] == 10


def test_a_league_has_an_identity_of_its_own(league: GovernedLeague) -> None:
    other = GovernedLeague()
    assert other.league != league.league
    assert SENDERS.keys(league.state) == ()
    assert league.time_ms + 1 > TIME_MS


def test_the_newest_blocks_are_valid_proposals_too(league: GovernedLeague) -> None:
    lubeck, bergen, riga, _ = league.governors
    name = league.propose(lubeck, ParamSet("heartbeat_s", 30))
    votes = [voter.vote(name) for voter in (lubeck, bergen, riga)]
    prepared = league.application.prepare_proposal(votes, league.time_ms + 1000, 400_000)
    assert prepared == votes
    assert PROPOSALS.get(league.state, name) is not None
    assert encode_vote(lubeck.signer().vote(name, "no", seq=99)) not in prepared
    assert proposal_hash("a") != proposal_hash("b")


# -- key agreement -------------------------------------------------------------------------------------------


def test_a_member_states_the_key_for_which_events_are_sealed(league: GovernedLeague) -> None:
    lubeck, bergen, *_ = league.governors
    before = league.state.member(lubeck.did)
    assert before is not None
    assert before.agreement_key == ""
    for key in ("A" * 43, "B" * 42 + "0"):
        assert league.numbers(lubeck.state(AgreementSet(key))) == [0]
        member = league.state.member(lubeck.did)
        assert member == msgspec.structs.replace(before, agreement_key=key)
    other = league.state.member(bergen.did)
    assert other is not None
    assert other.agreement_key == ""


def test_the_members_decide_where_a_member_is(league: GovernedLeague) -> None:
    visby = league.candidate("visby")
    key = "A" * 43
    assert league.decide(MemberPut(visby.candidacy(agreement_key=key, country="SE"))) == "passed"
    member = league.state.member(visby.did)
    assert member is not None
    assert (member.agreement_key, member.country) == (key, "SE")
    assert league.decide(MemberPut(visby.candidacy())) == "passed"
    again = league.state.member(visby.did)
    assert again is not None
    assert (again.agreement_key, again.country) == (key, "SE"), (
        "a candidacy that says nothing changes nothing"
    )
