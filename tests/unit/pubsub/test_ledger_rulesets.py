"""Rule sets side by side: each judges from the height on at which the state names it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import apsw
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.commitments.app_hash import RULESET_3, RULESET_4
from hansa.pubsub.ledger.commitments.records import RecordTree
from hansa.pubsub.ledger.genesis import PARAMETERS, AppState, LedgerParams
from hansa.pubsub.ledger.rules.rulesets import RULESETS, Ruleset
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.state import Overlay
from hansa.pubsub.ledger.state_machine import Block
from tests.contract.origins import Origin
from tests.support.old_states import as_schema_4

TIME_MS: Final = 1_767_225_600_000
SWITCH_HEIGHT: Final = 3
RECORDS_HEIGHT: Final = 4
LIMITS: Final = LedgerParams(event_size_max_bytes=2048)


def switch(state: Overlay) -> None:
    if state.height == SWITCH_HEIGHT:
        state.put_ruleset(RULESET_4)


def write_records(state: Overlay) -> None:
    state.put_record("policies", f"at {state.height}", b"one")
    if state.height == RECORDS_HEIGHT + 1:
        state.put_record("policies", f"at {RECORDS_HEIGHT}", None)
        state.put_params(LIMITS)


SWITCHING: Final[dict[str, Ruleset]] = {
    RULESET_3: msgspec.structs.replace(RULESETS[RULESET_3], begin_block=(switch,)),
    RULESET_4: msgspec.structs.replace(RULESETS[RULESET_4], begin_block=(write_records,)),
}


def genesis(origin: Origin) -> bytes:
    document = msgspec.to_builtins(AppState((origin.member,), ruleset=RULESET_3))
    limits = msgspec.json.decode(PARAMETERS.write(LedgerParams()))
    return msgspec.json.encode(document | {"params": limits})


class League:
    """A ledger of one member, founded under the rules before."""

    def __init__(self, path: Path) -> None:
        self.origin = Origin("lubeck")
        self.path = path
        self.application = LedgerApplication(SqliteState(path), SWITCHING)
        self.application.init_chain(genesis(self.origin), TIME_MS)

    def commit(self, *transactions: bytes) -> None:
        height = self.application.state.head.height + 1
        block = Block(height, TIME_MS + 1000 * height, transactions)
        assert self.application.process_proposal(block) is None
        self.application.finalize_block(block)
        self.application.commit()

    def reopen(self) -> None:
        self.application.state.close()
        self.application = LedgerApplication(SqliteState(self.path), SWITCHING)


@pytest.fixture
def league(tmp_path: Path) -> League:
    return League(tmp_path / "state.db")


def test_a_ledger_goes_on_under_the_next_rules_from_the_height_on_that_it_names(league: League) -> None:
    names = []
    for _ in range(RECORDS_HEIGHT + 1):
        league.commit(league.origin.batch(league.origin.event("e")))
        names.append(league.application.state.ruleset)
    assert names == [RULESET_3, RULESET_3, RULESET_4, RULESET_4, RULESET_4]
    assert league.application.state.head.position == RECORDS_HEIGHT + 1


def test_what_the_next_rules_record_and_limit_is_there_after_a_restart(league: League) -> None:
    for _ in range(RECORDS_HEIGHT + 1):
        league.commit()
    before = league.application.state
    state = (before.ruleset, before.params, dict(before.records("policies")), before.head)
    assert state[1:3] == (LIMITS, {f"at {RECORDS_HEIGHT + 1}": b"one"})
    league.reopen()
    after = league.application.state
    assert (after.ruleset, after.params, dict(after.records("policies")), after.head) == state
    assert after.record("policies", f"at {RECORDS_HEIGHT + 1}") == b"one"
    assert after.record("policies", f"at {RECORDS_HEIGHT}") is None


def test_other_limits_judge_from_their_block_on(league: League) -> None:
    for _ in range(RECORDS_HEIGHT):
        league.commit()
    large = league.origin.batch(*[league.origin.event(f"e{n}") for n in range(3)])
    league.application.finalize_block(Block(RECORDS_HEIGHT + 1, TIME_MS + 60_000, (large,)))
    league.application.commit()
    assert league.application.state.head.position == 3
    assert league.application.state.params == LIMITS


def test_a_file_of_the_schema_before_is_brought_to_this_one(league: League) -> None:
    league.commit(league.origin.batch(league.origin.event("e")))
    head = league.application.state.head
    league.application.state.close()
    as_schema_4(league.path)
    connection = apsw.Connection(str(league.path))
    connection.execute("DROP TABLE record; DROP TABLE missing; DROP TABLE checkpoint")
    connection.pragma("user_version", 3)
    connection.close()
    league.application = LedgerApplication(SqliteState(league.path), SWITCHING)
    assert league.application.state.head == head
    for _ in range(RECORDS_HEIGHT):
        league.commit()
    assert league.application.state.ruleset == RULESET_4


@given(
    st.dictionaries(st.text("abc", max_size=2), st.binary(max_size=3), max_size=8),
    st.dictionaries(st.text("abc", max_size=2), st.none() | st.binary(max_size=3), max_size=8),
)
def test_a_changed_tree_of_records_is_that_of_the_changed_records(
    records: dict[str, bytes], changes: dict[str, bytes | None]
) -> None:
    tree = RecordTree(records)
    tree.apply(tree.updated(changes))
    changed = RecordTree({key: body for key, body in (records | changes).items() if body is not None})
    assert (tree.root, tree.count) == (changed.root, changed.count)
