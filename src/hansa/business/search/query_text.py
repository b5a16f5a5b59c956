"""The language of queries: words, "phrases", -without, begin*.

    cloud storage          both words, or other forms of them
    "object storage"       these words, one behind the other
    -backup, -"cold data"  not that
    kube*                  words that begin so
    node.js, argo-cd       what is written without a blank is a phrase, or one word

Anything is a query: what has no meaning here, as brackets or a quote without its like, is left out. Frequent
small words count only beside nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from hansa.business.search.analysis import Word, is_small, stems, words_of
from hansa.core.errors import Code, Refused
from hansa.store.search.records import Term

WORDS_MAX: Final = 32
"""Of a query."""
_PART: Final = re.compile(r'(-?)(?:"([^"]*)"?|([^\s"]+))')

Alternatives = tuple[Term, ...]


class ParsedText(NamedTuple):
    """What a query asks for."""

    required: tuple[Alternatives, ...]
    excluded: tuple[Term, ...]
    words: tuple[str, ...]
    """Single words that are sought as they are, and may be mistyped."""


class _Part(NamedTuple):
    is_excluded: bool
    is_phrase: bool
    is_prefix: bool
    words: list[Word]


def parse(text: str, *, is_typing: bool = False) -> ParsedText:
    """What a query asks for.

    Args:
        text: As it was typed.
        is_typing: Whether its last word may be unfinished.

    Raises:
        Refused: `Code.INVALID`, for too many words.
    """
    parts = [part for part in _parts(text) if part.words]
    if sum(len(part.words) for part in parts) > WORDS_MAX:
        raise Refused(Code.INVALID, f"q: at most {WORDS_MAX} words.")
    sought = [part for part in parts if not part.is_excluded]
    telling = [part for part in sought if part.is_phrase or part.is_prefix or not _is_small(part)]
    last = sought[-1] if sought else None
    if is_typing and last is not None and not last.is_phrase and text[-1:].isalnum():
        typed = last._replace(is_prefix=True)
        telling = [*(part for part in telling if part is not last), typed]
    return ParsedText(
        tuple(_group(part) for part in telling or sought),
        tuple(term for part in parts if part.is_excluded for term in _group(part)[:1]),
        tuple(
            dict.fromkeys(
                part.words[0].folded
                for part in telling or sought
                if len(part.words) == 1 and not part.is_phrase and not part.is_prefix
            )
        ),
    )


def _parts(text: str) -> Iterator[_Part]:
    for match in _PART.finditer(text):
        minus, quoted, plain = match.groups()
        is_phrase = quoted is not None
        words = words_of(quoted if is_phrase else plain, WORDS_MAX + 1)
        is_prefix = not is_phrase and plain.endswith("*")
        yield _Part(minus == "-", is_phrase, is_prefix, words)


def _is_small(part: _Part) -> bool:
    return len(part.words) == 1 and is_small(part.words[0].spelled)


def _group(part: _Part) -> Alternatives:
    """Terms of which one has to be in a document."""
    words = tuple(word.folded for word in part.words)
    if part.is_phrase:
        return (Term(words),)
    if len(words) == 1:
        return (Term(words, stems(part.words[0].spelled), part.is_prefix),)
    joined = "".join(words)
    return Term(words, is_prefix=part.is_prefix), Term((joined,), is_prefix=part.is_prefix)


def with_others(parsed: ParsedText, others: Mapping[str, tuple[str, ...]]) -> ParsedText:
    """What a query asks for, with other words in place of some single words."""

    def replaced(group: Alternatives) -> Alternatives:
        first = group[0]
        if len(first.words) > 1 or first.is_prefix or first.words[0] not in others:
            return group
        return tuple(_single(word) for word in others[first.words[0]])

    return parsed._replace(required=tuple(map(replaced, parsed.required)))


def _single(word: str) -> Term:
    return Term((word,), stems(word))


def with_word(text: str, word: str, other: str) -> str:
    """A query with a word in place of another, each as it is folded."""
    parts: list[str] = []
    end = 0
    for one in words_of(text, WORDS_MAX):
        if one.folded == word:
            parts += [text[end : one.start], other]
            end = one.end
    return "".join((*parts, text[end:]))
