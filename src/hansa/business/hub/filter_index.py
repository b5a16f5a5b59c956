"""Finds the groups of listeners that an event may be for, without testing the filter of each.

Groups are indexed by what their filter says: the type of event if it names some, and the value of the first
attribute that it compares for equality. So of ten thousand listeners that each wait for the orders of another
party, an event is tested against those of its own party.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import structlog

from hansa.business.hub.events import Event
from hansa.business.hub.listeners import GroupKey, ListenerGroup
from hansa.store import Filter
from hansa.store.evaluation import equals
from hansa.store.index.paths import values_at
from hansa.store.operators import EQ

Path = tuple[str, ...]

log = structlog.get_logger()


class FilterIndex:
    """Groups whose filters accept events of one type, or of every type, at one hub."""

    def __init__(self) -> None:
        self._unconditional: dict[ListenerGroup, None] = {}
        """Those without a comparison for equality."""
        self._by_value: dict[Path, dict[str, dict[ListenerGroup, None]]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no group is in it."""
        return not self._unconditional and not self._by_value

    @property
    def needs_content(self) -> bool:
        """Whether the content of an event decides about some of the groups."""
        return bool(self._by_value)

    def add(self, group: ListenerGroup) -> None:
        """Add a group."""
        decisive = _decisive_filter(group)
        if decisive is None:
            self._unconditional[group] = None
            return
        by_value = self._by_value.setdefault(decisive.path, {})
        for value in decisive.values:
            by_value.setdefault(value, {})[group] = None

    def remove(self, group: ListenerGroup) -> None:
        """Remove a group that was added."""
        decisive = _decisive_filter(group)
        if decisive is None:
            del self._unconditional[group]
            return
        by_value = self._by_value[decisive.path]
        for value in dict.fromkeys(decisive.values):
            del by_value[value][group]
            if not by_value[value]:
                del by_value[value]
        if not by_value:
            del self._by_value[decisive.path]

    def candidates(self, events: Iterable[Event]) -> Iterator[ListenerGroup]:
        """Groups whose filter may accept one of these events; none that does is missing."""
        yield from self._unconditional
        if self._by_value:
            for event in events:
                yield from self._by_content(event.content)

    def _by_content(self, content: dict[str, Any]) -> Iterator[ListenerGroup]:
        for path, by_value in self._by_value.items():
            for value in values_at(content, path):
                if isinstance(value, str):
                    yield from by_value.get(value, ())
                else:
                    for text, groups in by_value.items():
                        if _may_equal(value, text):
                            yield from groups


def _may_equal(value: Any, text: str) -> bool:
    """Whether a value equals a text; so it may when that cannot be told."""
    try:
        return equals(value, text)
    except Exception:
        log.exception("comparison_failed", text=text[:200])
        return True


def _decisive_filter(group: ListenerGroup) -> Filter | None:
    """The comparison for equality by which a group is indexed."""
    for condition in group.filter.conditions:
        if isinstance(condition, Filter) and condition.operator is EQ and not condition.is_instant:
            return condition
    return None


class ListenerGroups:
    """All groups, by their query and by the events that their filters accept."""

    def __init__(self) -> None:
        self._by_key: dict[GroupKey, ListenerGroup] = {}
        self._indexes: dict[tuple[str, str, str], FilterIndex] = {}
        """By API, topic and type of event; the empty type is that of groups that accept all."""

    def get(self, key: GroupKey) -> ListenerGroup | None:
        """The group of a query at a hub."""
        return self._by_key.get(key)

    def add(self, group: ListenerGroup) -> None:
        """Add a group."""
        assert group.key not in self._by_key, "a query at a hub has one group"
        self._by_key[group.key] = group
        for key in _index_keys(group):
            self._indexes.setdefault(key, FilterIndex()).add(group)

    def remove(self, group: ListenerGroup) -> None:
        """Remove a group that was added."""
        assert self._by_key.get(group.key) is group, "only a group that was added can be removed"
        del self._by_key[group.key]
        for key in _index_keys(group):
            self._indexes[key].remove(group)
            if self._indexes[key].is_empty:
                del self._indexes[key]

    def indexes(self, api: str, topic: str, event_types: Iterable[str]) -> list[FilterIndex]:
        """The indexes of the groups that may accept an event of one of these types (lower case) at a hub."""
        keys = [(api, topic, ""), *((api, topic, event_type) for event_type in event_types)]
        return [self._indexes[key] for key in keys if key in self._indexes]


def _index_keys(group: ListenerGroup) -> list[tuple[str, str, str]]:
    types = group.filter.event_types
    return [(group.api, group.topic, event_type) for event_type in (types if types is not None else ("",))]
