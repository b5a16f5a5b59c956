"""Finds the groups of listeners that an event may be for, without asking each of them.

Groups stand under what their wish says: the type of event if it names some, and the value of the first attribute that
it compares for equality. So of ten thousand listeners that each wait for another party's orders, an event is held
against those of its own party.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from hansa.business.hub.events import Event
from hansa.business.hub.listeners import GroupKey, ListenerGroup
from hansa.business.query.evaluation import equals, values_at
from hansa.store import Filter

Path = tuple[str, ...]


class FilterIndex:
    """Groups that may want events of one type, or of one hub."""

    def __init__(self) -> None:
        self._any: dict[ListenerGroup, None] = {}
        self._by_value: dict[Path, dict[str, dict[ListenerGroup, None]]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no group stands here."""
        return not self._any and not self._by_value

    @property
    def asks_content(self) -> bool:
        """Whether what an event carries decides about some of the groups."""
        return bool(self._by_value)

    def add(self, group: ListenerGroup) -> None:
        """Put a group here."""
        decisive = _decisive(group)
        if decisive is None:
            self._any[group] = None
            return
        by_value = self._by_value.setdefault(decisive.path, {})
        for value in decisive.values:
            by_value.setdefault(value, {})[group] = None

    def remove(self, group: ListenerGroup) -> None:
        """Take a group away."""
        decisive = _decisive(group)
        if decisive is None:
            del self._any[group]
            return
        by_value = self._by_value[decisive.path]
        for value in dict.fromkeys(decisive.values):
            del by_value[value][group]
            if not by_value[value]:
                del by_value[value]
        if not by_value:
            del self._by_value[decisive.path]

    def groups(self, events: Iterable[Event]) -> Iterator[ListenerGroup]:
        """Groups that may want one of these events."""
        yield from self._any
        if self._by_value:
            for event in events:
                yield from self._found(event.content)

    def _found(self, content: dict[str, Any]) -> Iterator[ListenerGroup]:
        for path, by_value in self._by_value.items():
            for value in values_at(content, path):
                if isinstance(value, str):
                    yield from by_value.get(value, ())
                else:
                    for text, groups in by_value.items():
                        if equals(value, text):
                            yield from groups


def _decisive(group: ListenerGroup) -> Filter | None:
    """The comparison for equality under which a group stands."""
    for condition in group.wish.conditions:
        if isinstance(condition, Filter) and condition.operator == "eq" and not condition.is_instant:
            return condition
    return None


class ListenerGroups:
    """All groups, found by what happened."""

    def __init__(self) -> None:
        self._all: dict[GroupKey, ListenerGroup] = {}
        self._shelves: dict[tuple[str, str, str], FilterIndex] = {}
        """By API, topic and type of event; an empty type stands for all."""

    def get(self, key: GroupKey) -> ListenerGroup | None:
        """The group of a query at a hub."""
        return self._all.get(key)

    def add(self, group: ListenerGroup) -> None:
        """Find this one, too."""
        self._all[group.key] = group
        for name in _names(group):
            self._shelves.setdefault(name, FilterIndex()).add(group)

    def remove(self, group: ListenerGroup) -> None:
        """Find it no more."""
        del self._all[group.key]
        for name in _names(group):
            self._shelves[name].remove(group)
            if self._shelves[name].is_empty:
                del self._shelves[name]

    def shelves(self, api: str, topic: str, event_types: Iterable[str]) -> list[FilterIndex]:
        """Where the groups stand that may want an event of one of these types (lower case) at a hub."""
        names = [(api, topic, ""), *((api, topic, event_type) for event_type in event_types)]
        return [self._shelves[name] for name in names if name in self._shelves]


def _names(group: ListenerGroup) -> list[tuple[str, str, str]]:
    types = group.wish.event_types
    return [(group.api, group.topic, event_type) for event_type in (types if types is not None else ("",))]
