"""The log of the state is copied beside the blocks."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from hansa.pubsub.ledger.storage.log_copier import LogCopier


@pytest.mark.timeout(20)
def test_a_log_is_copied_by_a_connection_that_reads_nothing_else(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    connection = apsw.Connection(path)
    connection.pragma("journal_mode", "wal")
    connection.pragma("wal_autocheckpoint", 0)
    connection.execute("CREATE TABLE one (content BLOB)")
    connection.executemany("INSERT INTO one VALUES (?)", [(bytes(4000),)] * 50)
    pages, copied = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
    assert pages > 50
    assert copied == 0
    copier = LogCopier(path)
    copier.start_copy()
    while connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP) != (pages, pages):
        with copier.paused():
            pass
    copier.close()
    connection.close()
