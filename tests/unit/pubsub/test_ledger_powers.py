"""Voting power and suspension: what must hold whatever the members decide."""

from __future__ import annotations

import pytest

from hansa.core.governance.changes import (
    MemberPut,
    MemberStatusChange,
    ParamSet,
    Suspension,
    ValidatorPower,
)
from hansa.core.governance.statements import Leave
from hansa.pubsub.ledger.rules.governance import refusals
from hansa.pubsub.ledger.rules.governance.powers import powers
from hansa.pubsub.ledger.rules.governance.tables import (
    SUSPENSIONS,
)
from hansa.pubsub.ledger.rules.propose import encode_proposal
from hansa.pubsub.ledger_records import Misbehavior
from tests.support.governed import PARAMS, GovernedLeague

DAY_S = 86_400


@pytest.fixture
def league() -> GovernedLeague:
    return GovernedLeague()


# -- voting power --------------------------------------------------------------------------------------------


def test_at_most_a_third_of_the_power_changes_within_a_trust_period(league: GovernedLeague) -> None:
    lubeck, bergen, riga, bruges = league.governors
    assert league.decide(ValidatorPower(bruges.did, 0)) == "passed"
    compact = league.proposal(lubeck, ValidatorPower(riga.did, 0))
    assert league.numbers(encode_proposal(compact)) == [refusals.POWER_CHANGED.number]
    assert league.numbers(riga.state(Leave())) == [refusals.POWER_CHANGED.number]
    league.commit(seconds=PARAMS.trust_period_s + 10)
    assert league.decide(ValidatorPower(riga.did, 0), voters=[lubeck, bergen, riga]) == "passed"


def test_no_sum_of_small_steps_changes_more_than_a_third() -> None:
    league = GovernedLeague(power=100)
    lubeck, bergen, riga, bruges = league.governors
    assert league.decide(ValidatorPower(bruges.did, 70)) == "passed"
    assert league.decide(ValidatorPower(riga.did, 70)) == "passed"
    assert league.decide(ValidatorPower(bergen.did, 70)) == "passed"
    compact = league.proposal(lubeck, ValidatorPower(lubeck.did, 50))
    assert league.numbers(encode_proposal(compact)) == [refusals.POWER_CHANGED.number]


def test_with_four_validators_none_gets_more_than_a_third(league: GovernedLeague) -> None:
    lubeck, bergen, *_ = league.governors
    compact = league.proposal(lubeck, ValidatorPower(bergen.did, 16))
    assert league.numbers(encode_proposal(compact)) == [refusals.POWER_THIRD.number]


def test_who_lost_power_by_evidence_gets_it_back_with_another_key_alone(league: GovernedLeague) -> None:
    lubeck, _bergen, _riga, bruges = league.governors
    league.commit(misbehavior=[Misbehavior(bruges.address, 1, "duplicate_vote")])
    again = league.proposal(lubeck, ValidatorPower(bruges.did, 10))
    assert league.numbers(encode_proposal(again)) == [refusals.TAKEN.number]
    readmit = league.proposal(lubeck, MemberPut(bruges.candidacy(), 10))
    assert league.numbers(encode_proposal(readmit)) == [refusals.TAKEN.number]
    punished = bruges.address
    bruges.validator = league.candidate("bruges-2").validator
    proof = bruges.possession(bruges.validator, "validator")
    assert league.decide(ValidatorPower(bruges.did, 10, proof)) == "passed"
    assert powers(league.state)[bruges.address] == 10
    assert punished not in powers(league.state)


def test_another_key_does_not_save_who_misbehaved_with_the_earlier_one(league: GovernedLeague) -> None:
    bruges = league.governors[3]
    earlier = bruges.address
    bruges.validator = league.candidate("bruges-2").validator
    proof = bruges.possession(bruges.validator, "validator")
    assert league.decide(ValidatorPower(bruges.did, 10, proof)) == "passed"
    league.commit(misbehavior=[Misbehavior(earlier, 1, "duplicate_vote")])
    assert bruges.address not in powers(league.state)


# -- suspension ----------------------------------------------------------------------------------------------


def test_more_than_a_third_suspends_from_publishing_and_it_ends_by_itself(league: GovernedLeague) -> None:
    lubeck, bergen, riga, bruges = league.governors
    name = league.propose(lubeck, Suspension(bruges.did, 3600))
    league.commit(lubeck.vote(name))
    assert league.outcome(name) == "open"
    league.commit(bergen.vote(name))
    assert league.outcome(name) == "passed"
    suspended = league.state.member(bruges.did)
    assert suspended is not None
    assert (suspended.status, suspended.power) == ("suspended", 10)
    other = league.propose(bruges, ParamSet("heartbeat_s", 30))
    league.commit(bruges.vote(other), lubeck.vote(other), riga.vote(other))
    assert league.outcome(other) == "passed", "its voting power stays"
    league.commit(seconds=3601)
    freed = league.state.member(bruges.did)
    assert freed is not None
    assert freed.status == "active"
    again = league.proposal(lubeck, Suspension(bruges.did, 3600))
    assert league.numbers(encode_proposal(again)) == [refusals.CHANGE.number], "not at once again"
    league.commit(seconds=PARAMS.suspension_max_s)
    league.commit()
    assert SUSPENSIONS.keys(league.state) == ()
    league.propose(lubeck, Suspension(bruges.did, 3600))


def test_a_suspension_neither_voids_nor_outlives_a_vote_on_the_status(league: GovernedLeague) -> None:
    lubeck, bergen, riga, bruges = league.governors
    removal = league.propose(lubeck, MemberStatusChange(bruges.did, "suspended"))
    name = league.propose(lubeck, Suspension(bruges.did, 3600))
    league.commit(lubeck.vote(name), bergen.vote(name))
    for voter in (lubeck, bergen, riga):
        league.commit(voter.vote(removal))
    assert league.outcome(removal) == "passed"
    league.commit(seconds=7200)
    still = league.state.member(bruges.did)
    assert still is not None
    assert still.status == "suspended"
