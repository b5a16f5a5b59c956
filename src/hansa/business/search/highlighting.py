"""Which parts of a text match a query: ranges of characters.

Of a text of ASCII, as most are, only those words are looked at that begin as one that is sought: stems begin
as their words do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice, takewhile
from typing import Final

from hansa.business.search.analysis import Span, read_word, spans_of, stems
from hansa.business.search.results import Highlight, MarkedText
from hansa.store.search.records import Term

EXCERPT_MAX_CHARS: Final = 240
BEFORE_MAX_CHARS: Final = 60
"""Of an excerpt, in front of the first match."""
CUT_MAX_CHARS: Final = 80
"""So much of an excerpt is left out for not ending within a word."""
SEARCHED_MAX_CHARS: Final = 4000
HIGHLIGHTS_MAX: Final = 50


class Highlighter:
    """Marks what matches one query."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self._words: set[str] = set()
        prefixes: list[str] = []
        self._forms: set[str] = set()
        self._known: dict[str, bool] = {}
        """Whether words match, by how they stand in texts."""
        for term in terms:
            self._forms.update(term.forms)
            if term.is_prefix:
                *whole, beginning = term.words
                self._words.update(whole)
                prefixes.append(beginning)
            else:
                self._words.update(term.words)
        self._prefixes = tuple(prefixes)
        self._beginnings = {form[:1] for form in self._forms}
        self._candidates = _words_beginning({one[:1] for one in (*self._words, *self._forms, *prefixes)})

    def whole(self, text: str) -> MarkedText:
        """A text with its matches."""
        return MarkedText(text, _highlights(self._matching(text[:SEARCHED_MAX_CHARS]), 0, len(text)))

    def excerpt(self, text: str) -> MarkedText:
        """The part of a text around its first match, or its beginning."""
        matching = self._matching(text[:SEARCHED_MAX_CHARS])
        first = next(matching, None)
        if first is None:
            end = _end_of_word(text, EXCERPT_MAX_CHARS)
            return MarkedText(text[:end], (), end < len(text))
        start = 0
        if len(text) > EXCERPT_MAX_CHARS and first[1] > EXCERPT_MAX_CHARS:
            start = _beginning_of_word(text, first[0] - BEFORE_MAX_CHARS, first)
        end = _end_of_word(text, start + EXCERPT_MAX_CHARS)
        highlights = _highlights(chain((first,), matching), start, end)
        return MarkedText(text[start:end], highlights, end - start < len(text))

    def _matching(self, text: str) -> Iterator[Span]:
        """Where a text has words that match."""
        if not text.isascii():
            yield from (span for span in spans_of(text) if self._matches(span[2]))
        elif self._candidates is not None:
            for match in self._candidates.finditer(text):
                if self._matches(match[0]):
                    yield *match.span(), match[0]

    def _matches(self, text: str) -> bool:
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._is_match(text)
        return known

    def _is_match(self, text: str) -> bool:
        spelled, plain = read_word(text)
        if plain in self._words or (self._prefixes and plain.startswith(self._prefixes)):
            return True
        # A stem begins as its word does, so that most words need none.
        return plain != "" and plain[0] in self._beginnings and not self._forms.isdisjoint(stems(spelled))


def _words_beginning(beginnings: Iterable[str]) -> re.Pattern[str] | None:
    """Finds those words of a text of ASCII that begin with one of some letters; None: there are none."""
    either = {each for one in beginnings if one.isascii() and one.isalnum() for each in (one, one.upper())}
    if not either:
        return None
    first = "".join(sorted(either))
    # The set in front lets the search pass over everything else quickly.
    return re.compile(f"[{first}](?<![A-Za-z0-9][{first}])[A-Za-z0-9]*[+#]{{0,2}}")


def _highlights(matching: Iterable[Span], start: int, end: int) -> tuple[Highlight, ...]:
    within = takewhile(lambda span: span[1] <= end, matching)
    return tuple(
        Highlight(begin - start, until - start) for begin, until, _ in islice(within, HIGHLIGHTS_MAX)
    )


def _beginning_of_word(text: str, earliest: int, first: Span) -> int:
    """Where the first word begins that does so at a place or behind it."""
    before = max(0, earliest - 1)
    starts = (before + start for start, _, _ in spans_of(text[before : first[1]]))
    return next((start for start in starts if start >= earliest), first[0])


def _end_of_word(text: str, latest: int) -> int:
    """Where the last word ends that does so in front of a place; that place, where no word is near."""
    if latest >= len(text):
        return len(text)
    before = max(0, latest - CUT_MAX_CHARS)
    ends = (before + end for _, end, _ in spans_of(text[before : latest + 1]))
    return max((end for end in ends if end <= latest), default=latest)
