"""Which parts of a text match a query: ranges of characters."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from hansa.business.search.analysis import Span, plain_words, read_word, spans_of, stems
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

    def whole(self, text: str) -> MarkedText:
        """A text with its matches."""
        if not self._may_match(text):
            return MarkedText(text)
        return MarkedText(text, self._highlights(islice(spans_of(text), WORDS_MAX), 0, len(text)))

    def excerpt(self, text: str) -> MarkedText:
        """The part of a text around its first match, or its beginning."""
        searched = text[:SEARCHED_MAX_CHARS]
        if not self._may_match(searched):
            searched = text[:EXCERPT_MAX_CHARS] if len(text) > EXCERPT_MAX_CHARS else ""
        spans: list[Span] = []
        first: Span | None = None
        for span in spans_of(searched):
            spans.append(span)
            if first is None:
                if self._matches(span[2]):
                    first = span
            elif span[1] > max(first[0], EXCERPT_MAX_CHARS) + EXCERPT_MAX_CHARS:
                break
        start = 0
        if len(text) > EXCERPT_MAX_CHARS and first is not None and first[1] > EXCERPT_MAX_CHARS:
            start = next(span[0] for span in spans if span[0] >= first[0] - BEFORE_MAX_CHARS)
        end = min(len(text), start + EXCERPT_MAX_CHARS)
        if end < len(text):
            end = max((span[1] for span in spans if start < span[1] <= end), default=end)
        return MarkedText(text[start:end], self._highlights(spans, start, end), end - start < len(text))

    def _highlights(self, spans: Iterable[Span], start: int, end: int) -> tuple[Highlight, ...]:
        highlights = (
            Highlight(begin - start, until - start)
            for begin, until, spelled in spans
            if start <= begin and until <= end and self._matches(spelled)
        )
        return tuple(islice(highlights, HIGHLIGHTS_MAX))

    def _may_match(self, text: str) -> bool:
        """Whether a word of a text may match; nothing else has to be looked at closely."""
        words = plain_words(text)
        return words is None or any(map(self._matches, words))

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
