"""Writes documents into the search index: always one transaction, in the index's own thread."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import apsw

from hansa.core.errors import Code, Unavailable
from hansa.store.search.plain import size_of
from hansa.store.search.records import (
    COLUMNS,
    EXACT,
    KINDS_MAX,
    FacetOf,
    IndexBatch,
    IndexPosition,
    SearchDocument,
)
from hansa.store.search.spelling import is_corrected, keys_of
from hansa.store.sqlite.search.placed_facets import FEW_VALUES_MAX, Grouped
from hansa.store.sqlite.search.schema import KIND_SHIFT

MADE_ANEW: Final = "The search index was made anew."
WORDS_MAX: Final = 1_000_000
"""Words beyond are found, and not corrected to."""
FACETS_CACHED_MAX: Final = 100_000
KNOWN_WORDS_MAX: Final = 200_000
"""So many are remembered as known, to spare looking."""

_PLACES: Final = ", ".join("?" * (len(COLUMNS) + 1))
_INSERT: Final = {
    public: f"INSERT INTO {name}_words(rowid, {', '.join(COLUMNS)}) VALUES ({_PLACES})"  # noqa: S608 - constants
    for public, name in ((True, "public"), (False, "private"))
}
_DELETE: Final = {
    True: "DELETE FROM public_words WHERE rowid = ?",
    False: "DELETE FROM private_words WHERE rowid = ?",
}
_PRESENT: Final = (
    "SELECT p.number, p.public, p.signature, d.size FROM document AS d JOIN place AS p ON p.number = d.number "
    "WHERE d.id = ?"
)
_EMPTIED: Final = (
    *("place", "document", "facet", "signature", "label", "part", "digest", "due", "word", "word_key"),
    *("public_words", "private_words"),
)


class _Present(NamedTuple):
    number: int
    is_public: bool
    signature: int
    size: int


class Writer:
    """Writes through one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._last_numbers: dict[int, int] = {}
        """Of documents, by kind."""
        self.changed: dict[int, Grouped | None] = {}
        """Facets of documents that the last batch wrote, by number; None: removed."""
        self.has_new_labels = False
        """Whether the last batch wrote texts that name values."""
        self._values: dict[str, int] = {}
        """How many values facets have, as far as they have been counted."""
        self._known_words: set[str] = set()
        self._facets: dict[FacetOf, int] = {}
        """Numbers of values of facets."""
        self._words = self._count_words()

    def position(self) -> IndexPosition:
        """How far the index has followed the feed."""
        ((change, mark, rules),) = self._connection.execute("SELECT * FROM progress").fetchall()
        return IndexPosition(int(str(change)), str(mark), str(rules))

    def put(self, batch: IndexBatch) -> None:
        """Write a batch."""
        self.changed, self.has_new_labels = {}, False
        try:
            with self._connection:
                if batch.after is not None and self.position().change != batch.after:
                    raise Unavailable(Code.UNAVAILABLE, MADE_ANEW)
                self._mark_due(batch.parts)
                for each in batch.removed:
                    self._remove(each)
                for one in batch.documents:
                    self._put(one)
                if batch.position is not None:
                    self._move(batch.position)
        except BaseException:
            self._forget()
            raise

    def empty(self, position: IndexPosition) -> None:
        """Remove everything."""
        with self._connection:
            for table in _EMPTIED:
                self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant
            self._connection.execute("UPDATE total SET documents = 0, words = 0")
            self._move(position)
        self._forget()

    def compact(self) -> None:
        """Merge the parts of the tables of words: a word is looked up in each part."""
        for table in ("public_words", "private_words"):
            self._connection.execute(f"INSERT INTO {table}({table}) VALUES ('optimize')")  # noqa: S608 - a constant

    def due(self, limit: int) -> tuple[str, ...]:
        """Identifiers of documents that contain something which has changed."""
        rows = self._connection.execute(
            "SELECT d.id FROM due JOIN document AS d ON d.number = due.document LIMIT ?", (limit,)
        )
        return tuple(str(each) for (each,) in rows)

    def _forget(self) -> None:
        """What is remembered may not be in the file."""
        self._last_numbers.clear()
        self._known_words.clear()
        self._facets.clear()
        self._values.clear()
        self._words = self._count_words()

    def _count_words(self) -> int:
        ((count,),) = self._connection.execute("SELECT count(*) FROM word").fetchall()
        return int(str(count))

    def _move(self, position: IndexPosition) -> None:
        self._connection.execute(
            "UPDATE progress SET change = ?, mark = ?, rules = ?",
            (position.change, position.mark, position.rules),
        )

    def _mark_due(self, parts: Iterable[tuple[str, str]]) -> None:
        execute = self._connection.execute
        for target, digest in parts:
            rows = execute("SELECT digest FROM digest WHERE target = ?", (target,)).fetchall()
            if rows and rows[0][0] == digest:
                continue
            execute("INSERT OR REPLACE INTO digest VALUES (?, ?)", (target, digest))
            execute("INSERT OR IGNORE INTO due SELECT document FROM part WHERE target = ?", (target,))

    def _present(self, document_id: str) -> _Present | None:
        rows = self._connection.execute(_PRESENT, (document_id,)).fetchall()
        if not rows:
            return None
        number, public, signature, size = rows[0]
        return _Present(int(str(number)), bool(public), int(str(signature)), int(str(size)))

    def _remove(self, document_id: str) -> None:
        present = self._present(document_id)
        if present is None:
            return
        self._take_out(present)
        self.changed[present.number] = None
        execute = self._connection.execute
        for table, column in (("place", "number"), ("document", "number"), ("part", "document")):
            execute(f"DELETE FROM {table} WHERE {column} = ?", (present.number,))  # noqa: S608 - constants
        execute("DELETE FROM due WHERE document = ?", (present.number,))

    def _take_out(self, present: _Present) -> None:
        """Undo what depends on the contents of a document."""
        execute = self._connection.execute
        execute(_DELETE[present.is_public], (present.number,))
        execute(
            "UPDATE total SET documents = documents - 1, words = words - ? WHERE public = ?",
            (present.size, present.is_public),
        )
        execute("UPDATE signature SET uses = uses - 1 WHERE number = ?", (present.signature,))
        execute("DELETE FROM signature WHERE number = ? AND uses = 0", (present.signature,))

    def _put(self, document: SearchDocument) -> None:
        present = self._present(document.id)
        if present is not None and present.number >> KIND_SHIFT != document.kind:
            self._remove(document.id)
            present = None
        if present is not None:
            self._take_out(present)
        number = self._next_number(document.kind) if present is None else present.number
        size, execute = size_of(document), self._connection.execute
        numbers = [self._facet(one) for one in document.facets]
        facets = array("I", numbers).tobytes()
        self.changed[number] = self._grouped(document.facets, numbers)
        execute(_INSERT[document.is_public], (number, *document.columns))
        execute(
            "UPDATE total SET documents = documents + 1, words = words + ? WHERE public = ?",
            (size, document.is_public),
        )
        execute(
            "INSERT OR REPLACE INTO place VALUES (?, ?, ?, ?, ?, ?)",
            (
                *(number, facets, self._signature(facets), document.is_public),
                *(document.price, document.updated_ms),
            ),
        )
        if present is None:
            execute(
                "INSERT INTO document VALUES (?, ?, ?, ?)", (number, document.id, document.name_words, size)
            )
        else:
            execute(
                "UPDATE document SET name_words = ?, size = ? WHERE number = ?",
                (document.name_words, size, number),
            )
            execute("DELETE FROM part WHERE document = ?", (number,))
            execute("DELETE FROM due WHERE document = ?", (number,))
        for target in document.parts:
            execute("INSERT OR IGNORE INTO part VALUES (?, ?)", (target, number))
        for facet, value, label in document.labels:
            execute(
                "INSERT INTO label VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET label = excluded.label "
                "WHERE label != excluded.label",
                (facet, value, document.is_public, label),
            )
            self.has_new_labels |= self._connection.changes() > 0
        self._learn(word for at in EXACT for word in document.columns[at].split())

    def _next_number(self, kind: int) -> int:
        assert 0 <= kind < KINDS_MAX, "a kind is a small number"
        last = self._last_numbers.get(kind)
        if last is None:
            first, end = kind << KIND_SHIFT, (kind + 1) << KIND_SHIFT
            ((stored,),) = self._connection.execute(
                "SELECT max(number) FROM place WHERE number >= ? AND number < ?", (first, end)
            ).fetchall()
            last = first if stored is None else int(str(stored))
        self._last_numbers[kind] = last + 1
        return last + 1

    def _facet(self, facet: FacetOf) -> int:
        """The number of a value of a facet."""
        number = self._facets.get(facet)
        if number is None:
            if self._values.get(facet[0], 0) <= FEW_VALUES_MAX:
                self._values.pop(facet[0], None)  # it may be another one
            rows = self._connection.execute(
                "INSERT INTO facet(name, value) VALUES (?, ?) "
                "ON CONFLICT DO UPDATE SET name = excluded.name RETURNING number",
                facet,
            ).fetchall()
            number = int(str(rows[0][0]))
            if len(self._facets) >= FACETS_CACHED_MAX:
                self._facets.clear()
            self._facets[facet] = number
        return number

    def _grouped(self, facets: Iterable[FacetOf], numbers: Sequence[int]) -> Grouped:
        """Numbers of values of a document: of facets with few values, and of others."""
        few: list[int] = []
        many: list[int] = []
        for (name, _), number in zip(facets, numbers, strict=True):
            (few if self._has_few_values(name) else many).append(number)
        return tuple(few), tuple(many)

    def _has_few_values(self, name: str) -> bool:
        """Whether a facet has few values."""
        count = self._values.get(name)
        if count is None:
            ((number,),) = self._connection.execute(
                "SELECT count(*) FROM (SELECT 1 FROM facet WHERE name = ? LIMIT ?)",
                (name, FEW_VALUES_MAX + 1),
            ).fetchall()
            count = self._values[name] = int(str(number))
        return count <= FEW_VALUES_MAX

    def _signature(self, facets: bytes) -> int:
        rows = self._connection.execute(
            "INSERT INTO signature(facets, uses) VALUES (?, 1) "
            "ON CONFLICT DO UPDATE SET uses = uses + 1 RETURNING number",
            (facets,),
        ).fetchall()
        return int(str(rows[0][0]))

    def _learn(self, words: Iterable[str]) -> None:
        """Note words that may be what a mistyped one was to be."""
        execute, known = self._connection.execute, self._known_words
        for word in words:
            if word in known or not is_corrected(word):
                continue
            if len(known) >= KNOWN_WORDS_MAX:
                known.clear()
            known.add(word)
            if self._words >= WORDS_MAX:
                continue
            execute("INSERT OR IGNORE INTO word VALUES (?)", (word,))
            if self._connection.changes():
                self._words += 1
                keys = ((key, word) for key in sorted(keys_of(word)))
                self._connection.executemany("INSERT OR IGNORE INTO word_key VALUES (?, ?)", keys)
