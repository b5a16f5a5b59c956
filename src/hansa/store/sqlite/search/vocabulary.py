"""Words of the index: those that are spelled nearly alike, and those that begin so.

How many documents have a word is counted in the documents that the caller may see, so that a word of private
ones alone does not exist for strangers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import apsw
import msgspec

from hansa.store.search.spelling import TRIGRAM, deletions, is_corrected, ranked, trigrams

SIMILAR_MAX: Final = 5
CANDIDATES_MAX: Final = 40
"""So many words are compared with one."""
BEGINNING_MAX: Final = 300
"""So many words with the same beginning are looked at."""

_SIMILAR: Final = (
    "SELECT word FROM word_key WHERE key IN (SELECT value FROM json_each(?)) "
    "GROUP BY word ORDER BY count(*) DESC LIMIT ?"
)
_BEGINNING: Final = "SELECT word FROM word WHERE word >= ? AND word < ? LIMIT ?"
_AFTER_ALL: Final = "\U0010ffff"


def similar_words(
    connection: apsw.Connection, words: Iterable[str], *, with_private: bool
) -> Mapping[str, tuple[tuple[str, int], ...]]:
    """For each word those that are spelled nearly alike, the best first."""
    return {word: _similar(connection, word, with_private=with_private) for word in words}


def _similar(connection: apsw.Connection, word: str, *, with_private: bool) -> tuple[tuple[str, int], ...]:
    if not is_corrected(word):
        counts = _counted(connection, [word], with_private=with_private)
        return ranked(word, counts, SIMILAR_MAX)
    # A key that many words have tells little: what has several of them comes first, and the rest not at all.
    for keys in (deletions(word), [TRIGRAM + one for one in trigrams(word)]):
        rows = connection.execute(_SIMILAR, (msgspec.json.encode(sorted(keys)).decode(), CANDIDATES_MAX))
        candidates = {word, *(str(other) for (other,) in rows)}
        counts = _counted(connection, sorted(candidates), with_private=with_private)
        best = ranked(word, counts, SIMILAR_MAX)
        if best:
            return best
    return ()


def beginning_words(
    connection: apsw.Connection, prefix: str, limit: int, *, with_private: bool
) -> tuple[tuple[str, int], ...]:
    """Words that begin so, the most frequent first."""
    rows = connection.execute(_BEGINNING, (prefix, prefix + _AFTER_ALL, BEGINNING_MAX)).fetchall()
    counts = _counted(connection, [str(word) for (word,) in rows], with_private=with_private)
    present = [(word, count) for word, count in counts if count]
    return tuple(sorted(present, key=lambda one: (-one[1], one[0]))[:limit])


def _counted(
    connection: apsw.Connection, words: Sequence[str], *, with_private: bool
) -> Iterator[tuple[str, int]]:
    tables = ("public_vocabulary", "private_vocabulary") if with_private else ("public_vocabulary",)
    for word in words:
        count = 0
        for table in tables:
            rows = connection.execute(f"SELECT doc FROM {table} WHERE term = ?", (word,))  # noqa: S608
            count += sum(int(str(documents)) for (documents,) in rows)
        yield word, count
