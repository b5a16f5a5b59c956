"""The texts that name values of facets, as threads have read them.

Threads that read share what they have read. The thread that writes lets all of it go when a text was written:
that happens seldom beside questions. What was read before such a write is not remembered after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from typing import Final

import apsw
import msgspec

from hansa.store.search.records import ABOVE, FacetOf

LABELS_CACHED_MAX: Final = 50_000
"""Values of facets whose texts are remembered."""

_READ: Final = (
    "SELECT one.value ->> 0, one.value ->> 1, l.facet, l.label, l.public FROM json_each(?) AS one "
    "JOIN label AS l ON l.facet IN (one.value ->> 0, ?) AND l.value = one.value ->> 1 ORDER BY l.public"
)

Texts = tuple[tuple[str, str, bool], ...]
"""Of a value: facet or `ABOVE`, text, and whether everybody may read it; those for everybody last."""


class FacetLabels:
    """Texts of values, used by all threads that read."""

    def __init__(self) -> None:
        self._known: dict[FacetOf, Texts] = {}
        self._lock = Lock()
        self.generation = 0
        """Another number after each write of a text; whoever reads takes it before it begins."""

    def forget(self) -> None:
        """Texts were written."""
        with self._lock:
            self.generation += 1
            self._known = {}

    def of(
        self, connection: apsw.Connection, values: Iterable[FacetOf], since: int, *, with_private: bool
    ) -> dict[FacetOf, str]:
        """The texts of some values.

        Args:
            connection: Reads the index.
            values: Facets with a value of each.
            since: The generation before the connection began to read.
            with_private: Whether texts that come from private entities may be read, too.
        """
        known = self._known
        requested = list(values)
        missing = [one for one in requested if one not in known]
        read = self._read(connection, missing, since) if missing else {}
        labels: dict[FacetOf, str] = {}
        for name, value in requested:
            texts = known.get((name, value)) or read.get((name, value), ())
            for facet, text, is_public in texts:
                if is_public or with_private:
                    labels[facet, value] = text
        return labels

    def _read(
        self, connection: apsw.Connection, values: Iterable[FacetOf], since: int
    ) -> dict[FacetOf, Texts]:
        read: dict[FacetOf, Texts] = dict.fromkeys(values, ())
        rows = connection.execute(_READ, (msgspec.json.encode(list(read)).decode(), ABOVE))
        for name, value, facet, text, is_public in rows:
            key = str(name), str(value)
            read[key] = (*read[key], (str(facet), str(text), bool(is_public)))
        with self._lock:
            if self.generation == since:
                if len(self._known) > LABELS_CACHED_MAX:
                    # Others may be reading the old one.
                    self._known = {}
                self._known.update(read)
        return read
