"""A question as an expression of FTS5.

Words come from the analysis of texts, so they have nothing but letters, digits, `+` and `#`. Each is written
as a quoted string all the same: no input becomes an operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hansa.store.search.plain import Phrase, phrases_of
from hansa.store.search.records import COLUMNS, IndexQuery, Term

NAME_COLUMNS = (0, 1)


def expression(query: IndexQuery, columns: Sequence[int] | None = None) -> str | None:
    """What a document has to have; None where all have it.

    Args:
        query: The question.
        columns: Only these are looked at; None: all.
    """
    if not query.required:
        return None
    groups = [
        _any(phrase_text(phrase, columns) for phrase in phrases_of_group(group)) for group in query.required
    ]
    expected = " AND ".join(groups)
    excluded = excluded_expression(query.excluded)
    return expected if excluded is None else f"({expected}) NOT {excluded}"


def scored_phrases(query: IndexQuery) -> list[Phrase]:
    """The phrases of an expression over all columns, in its order, but for those that are excluded."""
    return [phrase for group in query.required for phrase in phrases_of_group(group)]


def phrases_of_group(group: Iterable[Term]) -> tuple[Phrase, ...]:
    """What one group of terms is looked for as, each phrase once."""
    return tuple(dict.fromkeys(phrase for term in group for phrase in phrases_of(term)))


def excluded_expression(terms: Iterable[Term]) -> str | None:
    """What a document must not have; None: it may have anything."""
    phrases = [phrase_text(phrase) for term in terms for phrase in phrases_of(term)]
    return _any(phrases) if phrases else None


def phrase_text(phrase: Phrase, columns: Sequence[int] | None = None) -> str:
    """One phrase in its columns."""
    text = " ".join(phrase.words)
    assert '"' not in text, "words have no quotes"
    assert "\x00" not in text, "and are text"
    names = [COLUMNS[at] for at in phrase.columns if columns is None or at in columns]
    return f'{{{" ".join(names)}}} : "{text}"{" *" if phrase.is_prefix else ""}'


def _any(phrases: Iterable[str]) -> str:
    return f"({' OR '.join(dict.fromkeys(phrases))})"
