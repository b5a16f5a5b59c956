"""The numbers of facets, from groups of hits that have the same values.

A facet is counted as if nothing were selected of it: a hit counts for a value when it has what is selected of
all other facets. The total is the number of hits that have what is selected of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hansa.store.search.records import FacetOf

Selections = Sequence[tuple[str, tuple[str, ...]]]


def is_selected(facets: Iterable[FacetOf], selections: Selections) -> bool:
    """Whether a document with these values has what is selected."""
    if not selections:
        return True
    present = frozenset(facets)
    return all(any((name, value) in present for value in values) for name, values in selections)


def counted(
    groups: Iterable[tuple[Sequence[FacetOf], int]], selections: Selections
) -> tuple[int, Mapping[str, Mapping[str, int]]]:
    """The total, and the numbers by facet and value.

    Args:
        groups: Values that hits have in common, and how many hits.
        selections: What is selected.
    """
    total = 0
    counts: dict[str, dict[str, int]] = {}
    for facets, number in groups:
        missed = _missed(facets, selections) if selections else ()
        if not missed:
            total += number
        elif len(missed) > 1:
            continue
        for name, value in facets:
            if not missed or name == missed[0]:
                of_facet = counts.get(name)
                if of_facet is None:
                    of_facet = counts[name] = {}
                of_facet[value] = of_facet.get(value, 0) + number
    return total, counts


def _missed(facets: Sequence[FacetOf], selections: Selections) -> list[str]:
    """Names of the facets of which a document has nothing that is selected."""
    present = frozenset(facets)
    return [name for name, values in selections if not any((name, value) in present for value in values)]


def most_frequent(counts: Mapping[str, int], limit: int) -> list[tuple[str, int]]:
    """Some values with their numbers: the most frequent first, of equally frequent ones the first by name."""
    entries = list(counts.items())
    if len(entries) > limit:
        least = sorted(counts.values(), reverse=True)[limit - 1]
        entries = [one for one in entries if one[1] >= least]
    return sorted(entries, key=lambda one: (-one[1], one[0]))[:limit]
