"""The facets of documents in memory, so that hits are counted without reading a place of the file for each.

The thread that writes changes it, after each commit; threads that read take what is there. A document that is
not there is read from the file: so it is between the commit of a new one and its entry here, and so are all
beyond `DOCUMENTS_MAX`. Equal facets are one object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import apsw
import msgspec

from hansa.store.sqlite.search.schema import KIND_SHIFT

DOCUMENTS_MAX: Final = 500_000
"""At a hundred bytes each."""
IN_LIST: Final = "(SELECT value FROM json_each(?))"
_COUNTER: Final = (1 << KIND_SHIFT) - 1


class PlacedFacets:
    """Numbers of facets, four bytes each, by the number of the document."""

    def __init__(self) -> None:
        self._by_kind: dict[int, list[bytes | None]] = {}

    def load(self, connection: apsw.Connection) -> None:
        """Read all of an index."""
        self._by_kind = {}
        shared: dict[bytes, bytes] = {}
        rows = connection.execute("SELECT number, facets FROM place LIMIT ?", (DOCUMENTS_MAX,))
        for number, facets in rows:
            assert isinstance(facets, bytes), "facets are bytes"
            self._put(int(str(number)), shared.setdefault(facets, facets))

    def follow(self, changed: Mapping[int, bytes | None]) -> None:
        """Documents were written; None: removed."""
        for number, facets in changed.items():
            self._put(number, facets)

    def of(self, connection: apsw.Connection, numbers: Sequence[int]) -> list[bytes]:
        """The facets of documents, in any order."""
        known: list[bytes] = []
        missing: list[int] = []
        by_kind = self._by_kind
        for number in numbers:
            entries = by_kind.get(number >> KIND_SHIFT, ())
            place = number & _COUNTER
            facets = entries[place] if place < len(entries) else None
            if facets is None:
                missing.append(number)
            else:
                known.append(facets)
        return [*known, *self._read(connection, missing)] if missing else known

    def _read(self, connection: apsw.Connection, numbers: Iterable[int]) -> list[bytes]:
        rows = connection.execute(
            f"SELECT facets FROM place WHERE number IN {IN_LIST}",  # noqa: S608 - a constant
            (msgspec.json.encode(list(numbers)).decode(),),
        )
        return [facets for (facets,) in rows if isinstance(facets, bytes)]

    def _put(self, number: int, facets: bytes | None) -> None:
        entries = self._by_kind.setdefault(number >> KIND_SHIFT, [])
        place = number & _COUNTER
        if place >= DOCUMENTS_MAX:
            return
        if place >= len(entries):
            entries.extend([None] * (place + 1 - len(entries)))
        entries[place] = facets
