"""Records of a section with their form: what the rules read and write of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, Protocol

from hansa.core.closed_structs import StructForm, StructT
from hansa.pubsub.ledger.state.overlay import Overlay


class RecordsView(Protocol):
    """The records of a state, as they are stored."""

    def record(self, section: str, key: str) -> bytes | None:
        """A record of a section."""

    def records(self, section: str) -> Mapping[str, bytes]:
        """All records of a section, in the order of their keys."""


class RecordTable(Generic[StructT]):
    """The records of a section that have one form.

    Args:
        section: Its name.
        form: Of the records.
        prefix: With which their keys begin; not part of the keys here.
    """

    def __init__(self, section: str, form: StructForm[StructT], prefix: str = "") -> None:
        self.section = section
        self._form = form
        self._prefix = prefix

    def get(self, state: RecordsView, key: str) -> StructT | None:
        """The record of a key."""
        body = state.record(self.section, self._prefix + key)
        return None if body is None else self._form.read(body)

    def put(self, state: Overlay, key: str, value: StructT) -> None:
        """Add a record, or put it in place of the one with its key."""
        state.put_record(self.section, self._prefix + key, self._form.write(value))

    def remove(self, state: Overlay, key: str) -> None:
        """Remove the record of a key."""
        state.put_record(self.section, self._prefix + key, None)

    def keys(self, state: RecordsView, beginning: str = "") -> tuple[str, ...]:
        """The keys with a beginning, in order."""
        first = self._prefix + beginning
        skipped = len(self._prefix)
        return tuple(key[skipped:] for key in state.records(self.section) if key.startswith(first))

    def items(self, state: RecordsView, beginning: str = "") -> Iterator[tuple[str, StructT]]:
        """The records whose keys have a beginning, in the order of the keys."""
        records = state.records(self.section)
        for key in self.keys(state, beginning):
            yield key, self._form.read(records[self._prefix + key])
