"""What words tell, and scores by it: how many documents have a phrase is counted once, not by each question.

FTS5's `bm25` counts the documents of each phrase of a question before it scores the first hit: with one word
that is everywhere, that costs more than all else. Here it is remembered, and `known_bm25` scores by it, to
the same numbers. That is a function in Python, called for each hit: dearer where there are very many hits.

Scores are by numbers that are off by a hundredth at most: then all are counted again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import apsw
import msgspec

from hansa.store.search.plain import Phrase
from hansa.store.search.ranking import inverse_frequency, term_score
from hansa.store.search.records import WEIGHTS
from hansa.store.sqlite.search.expressions import phrase_text

PHRASES_MAX: Final = 20_000
"""So many are remembered."""
CHANGED_PART: Final = 100
"""With one document written of so many, all are counted again."""
POSTINGS_FOR_CALL: Final = 25
"""So many postings are counted by FTS5 while the function in Python looks at one phrase of one hit."""
FUNCTION: Final = "known_bm25"

_Scored = tuple[float, tuple[tuple[int, float], ...]]
"""Words of a document on average, and the phrases that tell something: number in the question, and weight."""


class CountedPhrases:
    """What was counted in about one state of an index."""

    def __init__(self) -> None:
        self.totals: dict[bool, tuple[int, float]] = {}
        """Of the public and of the private documents: how many, and words of each on average."""
        self.having: dict[tuple[bool, Phrase], int] = {}


class RememberedStatistics:
    """What threads that read have counted; the thread that writes lets it go."""

    def __init__(self) -> None:
        self._changed = 0
        self.counted = CountedPhrases()
        """Taken by each question before it begins to read, so that nothing older is put into a newer one."""

    def follow(self, changed: int) -> None:
        """So many documents were written, or removed."""
        self._changed += changed
        if any(self._changed * CHANGED_PART >= count for count, _ in self.counted.totals.values()):
            self.counted = CountedPhrases()
            self._changed = 0


class IndexStatistics:
    """What scoring knows of the public or the private documents that are in the index."""

    def __init__(self, connection: apsw.Connection, counted: CountedPhrases, *, is_public: bool) -> None:
        self._connection = connection
        self._counted = counted
        self._is_public = is_public
        self._which = "public" if is_public else "private"
        total = counted.totals.get(is_public)
        if total is None:
            ((documents, words),) = connection.execute(
                "SELECT documents, words FROM total WHERE public = ?", (is_public,)
            ).fetchall()
            count = int(str(documents))
            total = counted.totals[is_public] = count, int(str(words)) / max(1, count)
        self.documents, self.mean_size = total

    def having(self, phrase: Phrase) -> int:
        """How many documents have a phrase."""
        key = self._is_public, phrase
        count = self._counted.having.get(key)
        if count is None:
            ((value,),) = self._connection.execute(
                f"SELECT count(*) FROM {self._which}_words WHERE {self._which}_words MATCH ?",  # noqa: S608
                (phrase_text(phrase),),
            ).fetchall()
            count = int(str(value))
            if len(self._counted.having) >= PHRASES_MAX:
                self._counted.having.clear()
            self._counted.having[key] = count
        return count

    def known_score(self, phrases: Sequence[Phrase], hits: int) -> str | None:
        """What `known_bm25` needs to score so many hits by some phrases; None where `bm25` is cheaper."""
        # The beginning of a word is hardly ever the same again; and very many hits are never cheaper.
        if any(one.is_prefix for one in phrases) or hits * POSTINGS_FOR_CALL > self.documents:
            return None
        having = [self.having(one) for one in phrases]
        present = [at for at, count in enumerate(having) if count]
        if hits * len(present) * POSTINGS_FOR_CALL >= sum(having):
            return None
        weights = tuple((at, inverse_frequency(self.documents, having[at])) for at in present)
        return msgspec.json.encode((self.mean_size, weights)).decode()


def add_scoring(connection: apsw.Connection) -> None:
    """Let statements of a connection call `known_bm25`."""
    connection.register_fts5_function(FUNCTION, _known_bm25)


def _known_bm25(api: apsw.FTS5ExtensionApi, *parameters: apsw.SQLiteValue) -> float:
    """The score of a hit, as `bm25` has it: less is better."""
    known = api.aux_data
    if known is None:
        known = api.aux_data = msgspec.json.decode(str(parameters[0]), type=_Scored)
    mean_size, weights = known
    size = api.column_size()
    total = 0.0
    for phrase, weight in weights:
        places = api.phrase_locations(phrase)
        often = sum(WEIGHTS[at] * len(of_column) for at, of_column in enumerate(places) if of_column)
        if often:
            total -= weight * term_score(often, size, mean_size)
    return total
