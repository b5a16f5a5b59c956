"""Evidence takes a validator's power: once, never that of the last one, and the same at every member."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.core.clock import ManualClock
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.commitments.app_hash import NEWEST_RULESET
from hansa.pubsub.ledger.commitments.stored import validator_address
from hansa.pubsub.ledger.genesis import AppState
from hansa.pubsub.ledger.messages import PACKAGE, Request, message_class
from hansa.pubsub.ledger.methods import AbciMethods
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state import BlockEffects
from hansa.pubsub.ledger.state_machine import Block
from hansa.pubsub.ledger_records import Misbehavior
from tests.contract.origins import Origin

ORIGINS = tuple(Origin(name) for name in ("lubeck", "bergen", "riga"))
MEMBERS = tuple(origin.member for origin in ORIGINS)
GENESIS = msgspec.json.encode(AppState(MEMBERS))
VALIDATORS = {member.validator_key: member.power for member in MEMBERS}
LUBECK, BERGEN, RIGA = (validator_address(member.validator_key) for member in MEMBERS)
UNKNOWN = "0" * 40


def application(path: Path | str = MEMORY) -> LedgerApplication:
    made = LedgerApplication(SqliteState(path))
    made.init_chain(GENESIS, 0, VALIDATORS)
    return made


def vote_twice(address: str, height: int = 1) -> Misbehavior:
    return Misbehavior(address, height, "duplicate_vote")


def commit(league: LedgerApplication, *evidence: Misbehavior) -> BlockEffects:
    height = league.state.head.height + 1
    effects = league.finalize_block(Block(height, 1000 * height, (), evidence))
    league.commit()
    return effects


def powers(league: LedgerApplication) -> list[int]:
    assert {member.validator_key: member.power for member in league.state.members} == {
        one.public_key: one.power for one in league.state.validators.values()
    }
    return [league.state.validators[address].power for address in (LUBECK, BERGEN, RIGA)]


def test_evidence_in_the_first_block_takes_the_power() -> None:
    league = application()
    before = league.state.head.app_hash
    (update,) = commit(league, vote_twice(BERGEN)).validators
    assert (update.address, update.power) == (BERGEN, 0)
    assert powers(league) == [1, 0, 1]
    assert league.state.head.app_hash != before


def test_the_same_evidence_again_has_no_effect() -> None:
    league = application()
    commit(league, vote_twice(BERGEN))
    before = league.state.head.app_hash
    for evidence in ([vote_twice(BERGEN)], [vote_twice(BERGEN), vote_twice(BERGEN)]):
        effects = commit(league, *evidence)
        assert (effects.validators, effects.misbehavior) == ((), ())
    assert league.state.head.app_hash == before


def test_further_evidence_against_the_same_validator_is_recorded_and_changes_no_power() -> None:
    """The engine fails when it is told to remove a validator that it does not have."""
    league = application()
    commit(league, vote_twice(BERGEN))
    effects = commit(league, vote_twice(BERGEN, 2), Misbehavior(BERGEN, 2, "light_client_attack"))
    assert effects.validators == ()
    assert len(effects.misbehavior) == 2
    assert {one.recorded_height for one in effects.misbehavior} == {2}


def test_evidence_against_an_unknown_validator_is_recorded_alone() -> None:
    league = application()
    effects = commit(league, vote_twice(UNKNOWN))
    assert effects.validators == ()
    assert [one.address for one in effects.misbehavior] == [UNKNOWN]
    assert powers(league) == [1, 1, 1]


def test_the_last_validator_keeps_its_power() -> None:
    league = application()
    commit(league, vote_twice(LUBECK), vote_twice(RIGA))
    assert powers(league) == [0, 1, 0]
    assert commit(league, vote_twice(BERGEN)).validators == ()
    assert powers(league) == [0, 1, 0]


def test_evidence_against_all_leaves_the_same_one_whatever_its_order() -> None:
    hashes = set()
    for order in itertools.permutations((LUBECK, BERGEN, RIGA)):
        league = application()
        commit(league, *(vote_twice(address) for address in order))
        assert sum(powers(league)) == 1
        hashes.add(league.state.head.app_hash)
    assert len(hashes) == 1


@given(
    st.lists(
        st.lists(
            st.builds(vote_twice, st.sampled_from((LUBECK, BERGEN, RIGA, UNKNOWN)), st.integers(1, 3)),
            max_size=3,
        ),
        max_size=5,
    )
)
@settings(max_examples=40, deadline=None)
def test_the_set_of_validators_is_never_empty_and_no_power_is_taken_twice(
    blocks: list[list[Misbehavior]],
) -> None:
    league, removed = application(), []
    for evidence in blocks:
        removed += [one.address for one in commit(league, *evidence).validators]
        assert sum(powers(league)) >= 1
    assert len(removed) == len(set(removed))


def test_it_is_there_after_a_restart_and_replays_the_same(tmp_path: Path) -> None:
    league, again = application(tmp_path / "state.db"), application()
    for one in (league, again):
        commit(one, vote_twice(BERGEN), vote_twice(UNKNOWN))
    assert league.state.head == again.state.head
    league.state.close()
    reopened = LedgerApplication(SqliteState(tmp_path / "state.db"))
    assert powers(reopened) == [1, 0, 1]
    assert commit(reopened, vote_twice(BERGEN)).misbehavior == ()


def test_a_proposal_is_judged_alike_with_and_without_evidence() -> None:
    league = application()
    raw = (ORIGINS[0].batch(ORIGINS[0].event("e")),)
    time_ms = 1_767_225_600_000
    for evidence in ((), (vote_twice(LUBECK),)):
        assert league.process_proposal(Block(1, time_ms, raw, evidence)) is None
    decided = Block(1, time_ms, raw, (vote_twice(BERGEN),))
    effects = league.finalize_block(decided)
    assert [one.address for one in effects.validators] == [BERGEN]
    assert effects.refusals == (None,)


def test_the_engine_is_told_the_power_by_public_key() -> None:
    abci = AbciMethods(LedgerApplication(SqliteState(MEMORY)), ManualClock(), structlog.get_logger())
    public_key = message_class("tendermint.crypto.PublicKey")
    updates = [
        message_class(f"{PACKAGE}.ValidatorUpdate")(
            pub_key=public_key(ed25519=bytes.fromhex(key)), power=power
        )
        for key, power in VALIDATORS.items()
    ]
    ask(abci, "init_chain", "RequestInitChain", app_state_bytes=GENESIS, validators=updates)
    evidence = message_class(f"{PACKAGE}.Misbehavior")(
        type=1, height=1, validator=message_class(f"{PACKAGE}.Validator")(address=bytes.fromhex(RIGA))
    )
    answer = ask(abci, "finalize_block", "RequestFinalizeBlock", height=1, misbehavior=[evidence])
    (update,) = answer.validator_updates
    assert (update.pub_key.ed25519.hex(), update.power) == (MEMBERS[2].validator_key, 0)
    assert ask(abci, "info", "RequestInfo").data == NEWEST_RULESET


def ask(abci: AbciMethods, name: str, message: str, **fields: Any) -> Any:
    request = message_class(f"{PACKAGE}.{message}")(**fields)
    return getattr(abci.answer(Request(**{name: request})), name)


def test_evidence_of_a_kind_that_nobody_knows_counts_too() -> None:
    league = application()
    assert commit(league, Misbehavior(BERGEN, 1, "unknown")).validators[0].power == 0
