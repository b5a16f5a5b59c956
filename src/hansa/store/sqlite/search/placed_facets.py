"""The facets of documents in memory, so that hits are counted without reading a place of the file for each.

The values of a document are in two groups, each of which it shares with others: those of facets with few
values, as states and regions, and those of facets with many, as providers. So of thousands of hits, some
hundred groups are counted, and then the values in them; all values together are nearly another set for each
document.

The thread that writes changes it, after each commit; threads that read take what is there. A document that is
not there is read from the file: so it is between the commit of a new one and its entry here, and so are all
beyond `DOCUMENTS_MAX`. A count may be off by the one document that is just being written.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, compress
from operator import itemgetter, or_
from typing import Final

import apsw
import msgspec

from hansa.store.sqlite.search.schema import KIND_SHIFT

DOCUMENTS_MAX: Final = 500_000
"""At sixteen bytes each, and their groups."""
FEW_VALUES_MAX: Final = 64
"""A facet with more of them is one with many."""
AT_ONCE: Final = 20_000
"""So many are looked at between two moments at which another thread may go on."""
IN_LIST: Final = "(SELECT value FROM json_each(?))"
_COUNTER: Final = (1 << KIND_SHIFT) - 1
_UNKNOWN: Final = 0
"""The group of documents that are not here."""

Values = tuple[int, ...]
"""Numbers of values."""
Grouped = tuple[Values, Values]
"""The values of a document: of facets with few values, and of others."""


class _Groups:
    """Groups by numbers, and which documents of one kind have which."""

    def __init__(self) -> None:
        self.members: list[Values] = [()]
        self._numbers: dict[Values, int] = {}
        self.by_place: list[int] = []

    def put(self, place: int, group: Values | None) -> None:
        """A document has a group; None: it is not there any more."""
        number = _UNKNOWN
        if group is not None:
            known = self._numbers.get(group)
            if known is None:
                self.members.append(group)
                # One object for all documents that have it.
                known = self._numbers[group] = len(self.members) - 1
            number = known
        if place >= len(self.by_place):
            self.by_place.extend([_UNKNOWN] * (place + 1 - len(self.by_place)))
        self.by_place[place] = number


class PlacedFacets:
    """Numbers of facets by the number of the document."""

    def __init__(self) -> None:
        self._by_kind: dict[int, tuple[_Groups, _Groups]] = {}

    def load(self, connection: apsw.Connection) -> None:
        """Read all of an index."""
        self._by_kind = {}
        few = frozenset(
            int(str(number))
            for (number,) in connection.execute(
                "SELECT number FROM facet WHERE name IN (SELECT name FROM facet GROUP BY name HAVING count(*) <= ?)",
                (FEW_VALUES_MAX,),
            )
        )
        rows = connection.execute("SELECT number, facets FROM place LIMIT ?", (DOCUMENTS_MAX,))
        for number, facets in rows:
            values = _numbers(facets)
            grouped = (
                tuple(one for one in values if one in few),
                tuple(one for one in values if one not in few),
            )
            self._put(int(str(number)), grouped)

    def follow(self, changed: Mapping[int, Grouped | None]) -> None:
        """Documents were written; None: removed."""
        for number, grouped in changed.items():
            self._put(number, grouped)

    def counts(self, connection: apsw.Connection, numbers: Iterable[int]) -> dict[int, int]:
        """How many of some documents have each value, by its number."""
        ordered = sorted(numbers)
        counts: defaultdict[int, int] = defaultdict(int)
        missing: list[int] = []
        start = 0
        while start < len(ordered):
            kind = ordered[start] >> KIND_SHIFT
            end = bisect_left(ordered, (kind + 1) << KIND_SHIFT, start, min(len(ordered), start + AT_ONCE))
            base = kind << KIND_SHIFT
            places = [one - base for one in ordered[start:end]] if base else ordered[start:end]
            missing += [base + place for place in self._count(kind, places, counts)]
            start = end
        if missing:
            _add(counts, Counter(chain.from_iterable(_read(connection, missing))))
        return counts

    def selected(
        self, numbers: Sequence[int], requested: Sequence[frozenset[int]]
    ) -> tuple[list[int], ...] | None:
        """Of some documents, those that have a value of each of some sets, and those that lack one at most.

        Args:
            numbers: Of the documents, in order.
            requested: Sets of numbers of values.

        Returns:
            Those that have a value of each set; then for each set, those that have one of each other set.
            None where not all of the documents are here.
        """
        whole = (1 << len(requested)) - 1
        chosen: tuple[list[int], ...] = ([], *([] for _ in requested))
        start = 0
        while start < len(numbers):
            kind = numbers[start] >> KIND_SHIFT
            end = bisect_left(numbers, (kind + 1) << KIND_SHIFT, start, min(len(numbers), start + AT_ONCE))
            part = numbers[start:end]
            present = self._present(kind, [number & _COUNTER for number in part], requested)
            if present is None:
                return None
            known = list(present)
            for at, those in enumerate(chosen):
                allowed = 1 << at - 1 if at else 0
                those.extend(compress(part, [each | allowed == whole for each in known]))
            start = end
        return chosen

    def _present(
        self, kind: int, places: list[int], requested: Sequence[frozenset[int]]
    ) -> Iterable[int] | None:
        """Of documents of one kind: of which sets each has a value, as bits. None: not all are here."""
        of_kind = self._by_kind.get(kind)
        if of_kind is None or places[-1] >= min(len(each.by_place) for each in of_kind):
            return None
        bits: list[Iterable[int]] = []
        for groups in of_kind:
            taken = _taken(places, groups.by_place)
            of_group = {
                group: sum(1 << at for at, values in enumerate(requested) if not values.isdisjoint(members))
                for group in set(taken)
                for members in (groups.members[group],)
            }
            if _UNKNOWN in of_group:
                return None
            bits.append(map(of_group.__getitem__, taken))
        return map(or_, *bits)

    def _count(self, kind: int, places: list[int], counts: defaultdict[int, int]) -> list[int]:
        """Count documents of one kind; those that are not here are returned."""
        of_kind = self._by_kind.get(kind)
        if of_kind is None:
            return places
        here = places[: bisect_left(places, min(len(each.by_place) for each in of_kind))]
        missing = places[len(here) :]
        if not here:
            return missing
        is_missing = False
        for groups in of_kind:
            taken = _taken(here, groups.by_place)
            numbered: Counter[int] = Counter(taken)
            is_missing |= _UNKNOWN in numbered
            if 2 * len(numbered) > len(taken):  # hardly two have the same
                _add(counts, Counter(chain.from_iterable(map(groups.members.__getitem__, taken))))
                continue
            for group, count in numbered.items():
                for number in groups.members[group]:
                    counts[number] += count
        if is_missing:
            by_place = of_kind[0].by_place
            missing += [place for place in here if by_place[place] == _UNKNOWN]
        return missing

    def _put(self, number: int, grouped: Grouped | None) -> None:
        place = number & _COUNTER
        if place >= DOCUMENTS_MAX:
            return
        of_kind = self._by_kind.setdefault(number >> KIND_SHIFT, (_Groups(), _Groups()))
        for groups, group in zip(of_kind, grouped or (None, None), strict=True):
            groups.put(place, group)


def _taken(places: Sequence[int], by_place: list[int]) -> tuple[int, ...]:
    """What is at some places."""
    taken = itemgetter(*places)(by_place)
    return taken if isinstance(taken, tuple) else (taken,)


def _add(counts: defaultdict[int, int], more: Counter[int]) -> None:
    if not counts:
        counts.update(more)
        return
    for number, count in more.items():
        counts[number] += count


def _read(connection: apsw.Connection, numbers: Iterable[int]) -> Iterable[array[int]]:
    rows = connection.execute(
        f"SELECT facets FROM place WHERE number IN {IN_LIST}",  # noqa: S608 - a constant
        (msgspec.json.encode(list(numbers)).decode(),),
    )
    return [_numbers(facets) for (facets,) in rows]


def _numbers(facets: object) -> array[int]:
    assert isinstance(facets, bytes), "facets are bytes"
    return array("I", facets)
