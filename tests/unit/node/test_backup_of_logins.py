"""Who is logged in is in no backup."""

from __future__ import annotations

from pathlib import Path

import apsw

from hansa.core.clock import ManualClock
from hansa.node.backup import restore_backup, write_backup

CLOCK = ManualClock()


def test_nobody_is_logged_in_again_by_a_restore(member_of_two: Path, tmp_path: Path) -> None:
    """Who logged out after the backup stays logged out, and the file has nobody's name for that."""
    store = apsw.Connection(str(member_of_two / "store.db"))
    store.execute(
        "CREATE TABLE browser_session (name TEXT); INSERT INTO browser_session VALUES ('Ana Prueba')"
    )
    store.execute("CREATE TABLE token_family (name TEXT); INSERT INTO token_family VALUES ('Ana Prueba')")
    store.close()
    write_backup(member_of_two, tmp_path / "market.backup", CLOCK)
    assert b"Ana Prueba" not in (tmp_path / "market.backup").read_bytes()
    restore_backup(tmp_path / "market.backup", tmp_path / "again", CLOCK)
    restored = apsw.Connection(str(tmp_path / "again" / "store.db"), flags=apsw.SQLITE_OPEN_READONLY)
    logins = "SELECT name FROM browser_session UNION ALL SELECT name FROM token_family"
    assert restored.execute(logins).fetchall() == []
    restored.close()
