"""The tables of the search index, and how its file is opened."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw

from hansa.store.search.records import COLUMNS
from hansa.store.sqlite.database.connection import connect

APPLICATION_ID: Final = 0x48535243
"""`HSRC`, in SQLite's header."""
VERSION: Final = 1
"""Of these tables; a file of another version is made anew."""
KIND_SHIFT: Final = 40
"""A document's number has its kind above this bit, so that numbers are in the order of kinds."""
LOG_MAX_PAGES: Final = 2000
"""The write-ahead log is copied into the file when it has so many."""

_COLUMNS: Final = ", ".join(COLUMNS)
_WORDS: Final = "".join(
    f"CREATE VIRTUAL TABLE {which}_words USING fts5({_COLUMNS}, content='', contentless_delete=1, "
    """tokenize="ascii tokenchars '+#'");\n"""
    f"CREATE VIRTUAL TABLE {which}_vocabulary USING fts5vocab({which}_words, 'row');\n"
    for which in ("public", "private")
)
_ROWS: Final = """
-- What is read of every hit: little, in the order of numbers. Its facets are numbers of four bytes each.
CREATE TABLE place (
  number INTEGER PRIMARY KEY,
  facets BLOB NOT NULL,
  signature INTEGER NOT NULL,
  public INTEGER NOT NULL,
  price REAL,
  updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX place_by_update ON place (public, updated_ms);
-- What is read of hits that are shown.
CREATE TABLE document (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name_words TEXT NOT NULL,
  size INTEGER NOT NULL
) STRICT;
CREATE INDEX document_by_name ON document (name_words);
CREATE TABLE facet (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  UNIQUE (name, value)
) STRICT;
-- Facets that documents have in common.
CREATE TABLE signature (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  facets BLOB NOT NULL UNIQUE,
  uses INTEGER NOT NULL
) STRICT;
CREATE TABLE label (
  facet TEXT NOT NULL,
  value TEXT NOT NULL,
  public INTEGER NOT NULL,
  label TEXT NOT NULL,
  PRIMARY KEY (facet, value, public)
) STRICT, WITHOUT ROWID;
-- In which documents something of another entity is, and what it was.
CREATE TABLE part (
  target TEXT NOT NULL,
  document INTEGER NOT NULL,
  PRIMARY KEY (target, document)
) STRICT, WITHOUT ROWID;
CREATE INDEX part_of_document ON part (document);
CREATE TABLE digest (target TEXT PRIMARY KEY, digest TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE due (document INTEGER PRIMARY KEY) STRICT;
-- Words, by what they are looked up by when they are mistyped.
CREATE TABLE word (word TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE word_key (key TEXT NOT NULL, word TEXT NOT NULL, PRIMARY KEY (key, word)) STRICT, WITHOUT ROWID;
CREATE TABLE total (public INTEGER PRIMARY KEY, documents INTEGER NOT NULL, words INTEGER NOT NULL) STRICT;
INSERT INTO total VALUES (0, 0, 0), (1, 0, 0);
CREATE TABLE progress (change INTEGER NOT NULL, mark TEXT NOT NULL, rules TEXT NOT NULL) STRICT;
INSERT INTO progress VALUES (0, '', '');
"""
TABLES: Final = _WORDS + _ROWS


def open_index(path: Path) -> apsw.Connection:
    """The writing connection of an index; what cannot be used is replaced. Raises what SQLite raises."""
    try:
        connection = connect(path, "writing")
        try:
            if _is_ours(connection):
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
    except (apsw.NotADBError, apsw.CorruptError):
        pass
    remove(path)
    connection = connect(path, "writing")
    _set_up(connection)
    with connection:
        connection.execute(TABLES)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    return connection


def _is_ours(connection: apsw.Connection) -> bool:
    ((application,),) = connection.execute("PRAGMA application_id").fetchall()
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    if (application, version) != (APPLICATION_ID, VERSION):
        return False
    _set_up(connection)
    connection.execute("SELECT change FROM progress").fetchall()
    return True


def _set_up(connection: apsw.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # After a power cut the newest documents may be missing; they are made again.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_MAX_PAGES}")


def remove(path: Path) -> None:
    """Remove an index, and what SQLite has beside it."""
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).unlink()
