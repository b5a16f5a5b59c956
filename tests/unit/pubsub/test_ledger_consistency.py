"""A state file that somebody has changed by hand is recognized before the ledger goes on with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw
import pytest

from hansa.core.errors import Code, Fatal
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.commitments.stored import validator_address
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.reading import LedgerReader
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.state_machine import Block
from hansa.pubsub.ledger.storage.compact import register_functions
from hansa.pubsub.ledger.storage.consistency import find_contradiction
from hansa.pubsub.ledger.storage.schema import TABLES, HeadRow, select_sql
from hansa.pubsub.ledger_records import EventFilter, Misbehavior
from tests.support.ledgers import TIME_MS, Ledger

EDITS = (
    "UPDATE head SET height = 1",
    "UPDATE head SET events = events - 1",
    "UPDATE head SET app_hash = zeroblob(32)",
    "UPDATE head SET sections = zeroblob(10)",
    "UPDATE head SET sections = CAST(replace(CAST(sections AS TEXT), '86400', '86401') AS BLOB)",
    "UPDATE member SET did = did || 'x' WHERE did = (SELECT min(did) FROM member)",
    "UPDATE member SET body = CAST(replace(CAST(body AS TEXT), 'bergen', 'berlin') AS BLOB)",
    "UPDATE member SET body = CAST(replace(CAST(body AS TEXT), '.example', '.evil') AS BLOB)",
    "UPDATE member SET body = CAST(replace(CAST(body AS TEXT), '}', ',\"z\":1}') AS BLOB)",
    "DELETE FROM member WHERE did = (SELECT min(did) FROM member)",
    "UPDATE issuer SET body = CAST(replace(CAST(body AS TEXT), '\"seq\":4', '\"seq\":1') AS BLOB)",
    "DELETE FROM issuer",
    "UPDATE validator SET body = CAST(replace(CAST(body AS TEXT), '\"power\":0', '\"power\":9') AS BLOB)",
    "DELETE FROM validator WHERE address = (SELECT min(address) FROM validator)",
    "UPDATE misbehavior SET body = CAST(replace(CAST(body AS TEXT), 'duplicate', 'quadruple') AS BLOB)",
    "DELETE FROM misbehavior",
    "UPDATE tile SET hashes = zeroblob(length(hashes)) WHERE level = 0 AND number = 0",
    "UPDATE tile SET hashes = zeroblob(length(hashes)) WHERE level = 0 AND number = 1",
    "UPDATE tile SET hashes = zeroblob(length(hashes)) WHERE level = 1",
    "DELETE FROM tile WHERE level = 1",
    "DELETE FROM tile WHERE level = 0 AND number = 1",
    "UPDATE tile SET hashes = CAST(hashes || zeroblob(32) AS BLOB) WHERE number = 1",
    "UPDATE claim_bucket SET hash = zeroblob(32) WHERE bucket = (SELECT min(bucket) FROM claim_bucket)",
    "UPDATE claim_bucket SET records = zeroblob(length(records))",
    "DELETE FROM claim_bucket WHERE bucket = (SELECT max(bucket) FROM claim_bucket)",
    "UPDATE claim_group SET hash = zeroblob(32) WHERE number = (SELECT max(number) FROM claim_group)",
    "UPDATE claim_bucket SET records = substr(records, 2) WHERE bucket = (SELECT max(bucket) FROM claim_bucket)",
    "UPDATE name SET text = text || 'x' WHERE number = 1",
    "DELETE FROM name WHERE text LIKE '%Event'",
    "UPDATE block SET time_ms = time_ms + 1 WHERE height = (SELECT max(height) FROM block)",
    "DELETE FROM block WHERE height = (SELECT max(height) FROM block)",
    "DELETE FROM block WHERE height = 2",
    "INSERT INTO block VALUES (999, 0, 1)",
    "UPDATE batch SET seq = seq + 1 WHERE first_position = (SELECT max(first_position) FROM batch)",
    "UPDATE batch SET jws = CAST(replace(expanded_jws(jws), 'A', 'B') AS BLOB) WHERE first_position = (SELECT max(first_position) FROM batch)",
    "UPDATE batch SET events = events + 1",
    "DELETE FROM batch WHERE first_position = (SELECT max(first_position) FROM batch)",
    "UPDATE event SET time_ms = 0 WHERE position = 300",
    "UPDATE event SET entity = 1 WHERE position = 300",
    "UPDATE event SET entity = position - 1 WHERE position = 300",
    "INSERT INTO used_id VALUES (zeroblob(16), 1, 9999)",
    "INSERT INTO used_id VALUES (zeroblob(16), 1, 300)",
    "UPDATE event SET type = issuer WHERE position = 300",
    "DELETE FROM event WHERE position = 300",
    "DELETE FROM event WHERE position > 295",
    "UPDATE event_content SET content = CAST(replace(CAST(expanded_content(content) AS TEXT), 'Create', 'Delete') AS BLOB) WHERE position = 300",
    "UPDATE event_content SET content = (SELECT content FROM event_content WHERE position = 1) WHERE position = 300",
    "DELETE FROM event_content WHERE position = 300",
    "INSERT INTO event_content VALUES (9999, x'00')",
    "UPDATE checkpoint SET events = 1",
    "INSERT INTO checkpoint VALUES (9999, 300, 'hansa-ledger/4', zeroblob(128))",
    "INSERT INTO record VALUES ('proposals', 'x', x'00')",
    "INSERT INTO record VALUES ('elsewhere', 'x', x'00')",
    "INSERT INTO missing VALUES (1, 1, 3)",
    "INSERT INTO missing VALUES (1, 290, 300)",
    "INSERT INTO missing VALUES (1, 301, 309)",
    "INSERT INTO missing VALUES (1, 7, 5)",
)


@pytest.fixture(scope="module")
def state_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state with 300 events, several issuers, an empty block at the end, and evidence."""
    path = tmp_path_factory.mktemp("state") / "state.db"
    ledger = Ledger(path, LedgerParams())
    for _ in range(40):
        ledger.commit(ledger.lubeck.batch(*ledger.lubeck.events(5)))
    for _ in range(20):
        ledger.commit(ledger.bergen.batch(*ledger.bergen.events(5)))
    address = validator_address(ledger.bergen.member.validator_key)
    height = ledger.state.head.height + 1
    evidence = (Misbehavior(address, height - 1, "duplicate_vote"),)
    ledger.application.finalize_block(Block(height, TIME_MS + 1000 * height, (), evidence))
    ledger.application.commit()
    assert ledger.state.head.position == 300
    ledger.state.connection.pragma("wal_checkpoint(truncate)")
    ledger.state.close()
    return path


def edited(state_file: Path, folder: Path, *statements: str) -> Path:
    path = folder / "state.db"
    shutil.copy(state_file, path)
    connection = apsw.Connection(str(path))
    register_functions(connection)
    for statement in statements:
        connection.execute(statement)
        assert connection.changes() > 0, "the edit changes something"
    connection.close()
    return path


def test_what_nobody_has_changed_goes_on(state_file: Path, tmp_path: Path) -> None:
    state = SqliteState(edited(state_file, tmp_path))
    assert state.head.position == 300
    LedgerApplication(state)


@pytest.mark.parametrize("statement", EDITS)
def test_an_edit_by_hand_is_recognized_at_the_start(state_file: Path, tmp_path: Path, statement: str) -> None:
    path = edited(state_file, tmp_path, statement)
    with pytest.raises(Fatal) as fatal:
        SqliteState(path)
    assert fatal.value.code is Code.STORE_DAMAGED
    assert "rebuilt" in fatal.value.message


def test_every_table_is_edited_here() -> None:
    for table in TABLES:
        assert any(f" {table} " in f"{statement} " for statement in EDITS), table


def test_a_state_that_other_rules_made_is_refused(state_file: Path, tmp_path: Path) -> None:
    path = edited(state_file, tmp_path, "UPDATE head SET ruleset = 'another'")
    with pytest.raises(Fatal, match="other rules") as fatal:
        SqliteState(path)
    assert fatal.value.code is Code.RULES_DIFFER


def test_a_bucket_that_changes_while_the_ledger_runs_is_recognized_when_it_is_used(
    state_file: Path, tmp_path: Path
) -> None:
    state = SqliteState(edited(state_file, tmp_path))
    events = LedgerReader(state.connection).events(0, EventFilter()).events
    (issuer, key), (other_issuer, other_key) = (
        (one.event.issuer, one.event.entity.key) for one in events[:2]
    )
    assert state.claim(issuer, key) is not None
    state.connection.execute("UPDATE claim_bucket SET records = zeroblob(length(records))")
    assert state.claim(issuer, key) is not None, "what was compared once is cached"
    with pytest.raises(Fatal) as fatal:
        state.claim(other_issuer, other_key)
    assert fatal.value.code is Code.STORE_DAMAGED


OLD_EDITS = (
    "UPDATE event_content SET content = x'00' WHERE position = 7",
    "DELETE FROM event WHERE position = 7",
    "UPDATE event SET time_ms = 1 WHERE position = 7",
    "UPDATE batch SET jws = x'78' WHERE first_position = 6",
    "DELETE FROM batch WHERE first_position = 6",
    "UPDATE block SET time_ms = 1 WHERE height = 2",
    "UPDATE tile SET hashes = zeroblob(8192) WHERE level = 0 AND number = 0",
)


@pytest.mark.parametrize("statement", OLD_EDITS)
def test_a_sample_of_old_events_is_checked_too(state_file: Path, tmp_path: Path, statement: str) -> None:
    path = edited(state_file, tmp_path)
    state = SqliteState(path)
    connection, trees = state.connection, state.trees
    head = HeadRow._make(connection.execute(select_sql("head", HeadRow)).fetchall()[0])
    assert find_contradiction(connection, head, trees, events_max=10) is None
    connection.execute(statement)
    assert find_contradiction(connection, head, trees, events_max=10) is not None
