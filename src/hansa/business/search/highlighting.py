"""Which parts of a text match a query: ranges of characters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from hansa.business.search.analysis import Word, each_word, stems, words_of
from hansa.business.search.results import Highlight, MarkedText
from hansa.store.search.records import Term

EXCERPT_MAX_CHARS: Final = 240
BEFORE_MAX_CHARS: Final = 60
"""Of an excerpt, in front of the first match."""
SEARCHED_MAX_CHARS: Final = 4000
WORDS_MAX: Final = 3000
HIGHLIGHTS_MAX: Final = 50


class Highlighter:
    """Marks what matches one query."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self._words: set[str] = set()
        self._prefixes: list[str] = []
        self._forms: set[str] = set()
        self._known: dict[str, bool] = {}
        """Whether words match, by how they are spelled."""
        for term in terms:
            self._forms.update(term.forms)
            if term.is_prefix:
                *whole, beginning = term.words
                self._words.update(whole)
                self._prefixes.append(beginning)
            else:
                self._words.update(term.words)

    def whole(self, text: str) -> MarkedText:
        """A text with its matches."""
        return MarkedText(text, self._highlights(words_of(text, WORDS_MAX), 0, len(text)))

    def excerpt(self, text: str) -> MarkedText:
        """The part of a text around its first match, or its beginning."""
        searched = text[:SEARCHED_MAX_CHARS]
        words: list[Word] = []
        first: Word | None = None
        for word in each_word(searched):
            words.append(word)
            if first is None and self._matches(word):
                first = word
            if first is not None and word.end > max(first.start, EXCERPT_MAX_CHARS) + EXCERPT_MAX_CHARS:
                break
        start = 0
        if len(text) > EXCERPT_MAX_CHARS and first is not None and first.end > EXCERPT_MAX_CHARS:
            start = next(word.start for word in words if word.start >= first.start - BEFORE_MAX_CHARS)
        end = min(len(text), start + EXCERPT_MAX_CHARS)
        if end < len(text):
            end = max((word.end for word in words if start < word.end <= end), default=end)
        return MarkedText(text[start:end], self._highlights(words, start, end), end - start < len(text))

    def _highlights(self, words: Sequence[Word], start: int, end: int) -> tuple[Highlight, ...]:
        highlights = (
            Highlight(word.start - start, word.end - start)
            for word in words
            if start <= word.start and word.end <= end and self._matches(word)
        )
        return tuple(highlight for highlight, _ in zip(highlights, range(HIGHLIGHTS_MAX), strict=False))

    def _matches(self, word: Word) -> bool:
        known = self._known.get(word.spelled)
        if known is None:
            known = self._known[word.spelled] = self._is_match(word)
        return known

    def _is_match(self, word: Word) -> bool:
        if word.folded in self._words or any(map(word.folded.startswith, self._prefixes)):
            return True
        return bool(self._forms) and not self._forms.isdisjoint(stems(word.spelled))
