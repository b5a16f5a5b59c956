"""Words that are spelled nearly alike.

Two words that differ by one letter (left out, added, exchanged, or two that changed places) have a word in
common when one letter of each, or none, is left out: these are the keys by which candidates are looked up
without a look at all words. Words that differ by more have trigrams in common.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

WORD_MIN_CHARS: Final = 3
WORD_MAX_CHARS: Final = 24
"""Other words are not corrected."""
TRIGRAM = "~"
"""In front of a key that is a trigram."""
SIMILARITY_MIN: Final = 0.4
"""Of trigrams, so that a word is similar."""


def is_corrected(word: str) -> bool:
    """Whether a word is one that may be mistyped: no number, neither short nor long."""
    return WORD_MIN_CHARS <= len(word) <= WORD_MAX_CHARS and any(map(str.isalpha, word))


def deletions(word: str) -> frozenset[str]:
    """The word, and what it is without one of its letters."""
    return frozenset((word, *(word[:at] + word[at + 1 :] for at in range(len(word)))))


def trigrams(word: str) -> frozenset[str]:
    """Groups of three letters that follow one another, with the beginning and the end of the word marked."""
    marked = f"^{word}$"
    return frozenset(marked[at : at + 3] for at in range(len(marked) - 2))


def keys_of(word: str) -> frozenset[str]:
    """By what a word is looked up."""
    return deletions(word) | {TRIGRAM + one for one in trigrams(word)}


def is_one_letter_off(one: str, other: str) -> bool:
    """Whether words differ by one letter left out, added or exchanged, or by two neighbours changed."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    rest, other_rest = one[start:], other[start:]
    if len(rest) == len(other_rest):
        is_swap = rest[:2] == other_rest[1::-1] and rest[2:] == other_rest[2:]
        return rest[1:] == other_rest[1:] or (len(rest) > 1 and is_swap)
    return rest[1:] == other_rest if len(rest) > len(other_rest) else rest == other_rest[1:]


def similarity(one: str, other: str) -> float:
    """How many of the trigrams of two words are in both; 1 for the same word."""
    first, second = trigrams(one), trigrams(other)
    return len(first & second) / len(first | second)


def ranked(word: str, candidates: Iterable[tuple[str, int]], limit: int) -> tuple[tuple[str, int], ...]:
    """Those of some words that are similar, the best first: itself, one letter off, and then by trigrams.

    Args:
        word: As it was typed.
        candidates: Words, and how many documents have each; none that has no document.
        limit: So many at most.
    """
    scored = []
    for other, count in candidates:
        if count == 0:
            continue
        if other == word:
            scored.append((0, 0.0, -count, other))
        elif is_one_letter_off(word, other):
            # A first letter is seldom mistyped.
            scored.append((1, 0.0 if other[:1] == word[:1] else 1.0, -count, other))
        elif (alike := similarity(word, other)) >= SIMILARITY_MIN:
            scored.append((2, -alike, -count, other))
    return tuple((other, -negative) for _, _, negative, other in sorted(scored)[:limit])
