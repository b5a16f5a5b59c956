"""What this marketplace sets in an entity, whoever writes it: defaults, initial states, dates.

Where a client may set such a value in a create, and does, its value stays: a record may be imported from
elsewhere with its dates. The date of the last write is never set by a client. A body that holds such a value,
because it was read before, is accepted, and the value is replaced.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from hansa.business.models import Attribute, Lifecycle, Models, Resource
from hansa.business.rules.item_states import ItemStateRules
from hansa.core.clock import Clock, rfc3339
from hansa.core.policies import ItemStates

Fields = dict[str, Any]

SETTABLE: Final = frozenset({"any", "create-only"})
"""Access of attributes that a client may set in a create."""


class ServerFields:
    """Sets the server's fields in the entities of one resource."""

    def __init__(
        self,
        resource: Resource,
        attributes: Mapping[str, Attribute],
        models: Models,
        clock: Clock,
        item_states: ItemStates = "follow",
    ) -> None:
        self._item_states = ItemStateRules(resource, models, item_states)
        self._resource = resource
        self._clock = clock
        self._values = {name: one.on_create for name, one in attributes.items() if one.on_create is not None}
        if resource.status_attribute is not None and resource.status_initial is not None:
            self._values.setdefault(resource.status_attribute, resource.status_initial)
        self._lifecycle = lifecycle = models.lifecycle(resource)
        self._items = tuple(
            (items.path, items.status, models.named_lifecycle(items.lifecycle))
            for items in (lifecycle.items if lifecycle is not None else ())
        )
        self._initial_dates = tuple(
            (name, attributes[name].access in SETTABLE)
            for name in (*resource.stamped_on_create, *resource.stamped_on_status)
        )
        self.dates = frozenset(
            (*resource.stamped_on_create, *resource.stamped_on_write, *resource.stamped_on_status)
        )
        """Attributes that hold dates which are set here."""

    def set_in_new(self, entity: Fields) -> None:
        """Set them in a new entity, in place."""
        self._respell_states(entity, {})
        for name, value in self._values.items():
            if name not in entity:
                entity[name] = copy.copy(value)
        self._set_initial_states(entity, {})
        self._item_states.apply({}, entity)
        if self.dates:
            now = rfc3339(self._clock.now())
            for name, is_settable in self._initial_dates:
                if not is_settable or name not in entity:
                    entity[name] = now
            entity.update(dict.fromkeys(self._resource.stamped_on_write, now))

    def restore_dates(self, before: Fields, after: Fields) -> None:
        """Take the dates of an entity from its current content, whatever the new content says."""
        for name in self.dates:
            if name in before:
                after[name] = before[name]
            else:
                after.pop(name, None)

    def set_in_changed(self, before: Fields, after: Fields) -> None:
        """Set them in changed content, in place."""
        self._respell_states(after, before)
        self._set_initial_states(after, before)
        self._item_states.apply(before, after)
        resource = self._resource
        dates = resource.stamped_on_write
        if resource.stamped_on_status and resource.status_attribute is not None:
            status = resource.status_attribute
            if before.get(status) != after.get(status):
                dates = (*dates, *resource.stamped_on_status)
        if dates:
            after.update(dict.fromkeys(dates, rfc3339(self._clock.now())))
        if resource.stamped_in_state and resource.status_attribute is not None:
            status = resource.status_attribute
            if (state := after.get(status)) != before.get(status):
                for name, states in resource.stamped_in_state.items():
                    if state in states and name not in after:
                        after[name] = rfc3339(self._clock.now())

    def _respell_states(self, after: Fields, before: Fields) -> None:
        """Write the states that a write brings as their state machine spells them, as `Launched`."""
        if self._lifecycle is None or self._resource.status_attribute is None:
            return
        status = self._resource.status_attribute
        if (state := after.get(status)) != before.get(status):
            _respell(self._lifecycle, after, status, state)
        for path, item_status, lifecycle in self._items:
            items = after.get(path)
            if type(items) is list and items != before.get(path):
                for item in items:
                    if type(item) is dict:
                        _respell(lifecycle, item, item_status, item.get(item_status))

    def _set_initial_states(self, after: Fields, before: Fields) -> None:
        """Set the states of items that come without one: of before, or the first one when they are new."""
        for path, status, lifecycle in self._items:
            items = after.get(path)
            if type(items) is not list or items == before.get(path):
                continue
            states = {
                item["id"]: item.get(status)
                for item in before.get(path, ())
                if type(item) is dict and type(item.get("id")) is str
            }
            for item in items:
                if type(item) is dict and item.get(status) is None:
                    identifier = item.get("id")
                    state = states.get(identifier) if type(identifier) is str else None
                    item[status] = state or lifecycle.initial[0]


def _respell(lifecycle: Lifecycle, holder: Fields, name: str, state: object) -> None:
    if type(state) is str and state not in lifecycle.next:
        spelling = lifecycle.spelling_of(state)
        if spelling is not None:
            holder[name] = spelling
