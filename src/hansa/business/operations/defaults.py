"""What this marketplace sets in an entity, whoever writes it: values that answers need, first states, dates.

Where a client may give such a value in a create, and does, its word stands: a record may be brought along from elsewhere
with its dates. The date of the last write is never the client's to say. What is set here is in nobody's way: a body that
holds it, since it was read before, is accepted, and what it says is set anew.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from hansa.business.models import Attribute, Models, Resource
from hansa.core.clock import Clock, rfc3339

Fields = dict[str, Any]

GIVEN: Final = frozenset({"any", "create-only"})
"""Access of attributes that a create may hold."""


class ServerFields:
    """Completes the entities of one resource."""

    def __init__(
        self, resource: Resource, attributes: Mapping[str, Attribute], models: Models, clock: Clock
    ) -> None:
        self._resource = resource
        self._clock = clock
        self._values = {name: one.on_create for name, one in attributes.items() if one.on_create is not None}
        if resource.status_attribute is not None and resource.status_initial is not None:
            self._values.setdefault(resource.status_attribute, resource.status_initial)
        lifecycle = models.lifecycle(resource)
        self._items = tuple(
            (items.path, items.status, models.named_lifecycle(items.lifecycle).initial[0])
            for items in (lifecycle.items if lifecycle is not None else ())
        )
        self._first_dates = tuple(
            (name, attributes[name].access in GIVEN)
            for name in (*resource.stamped_on_create, *resource.stamped_on_status)
        )
        self.dates = frozenset(
            (*resource.stamped_on_create, *resource.stamped_on_write, *resource.stamped_on_status)
        )
        """Attributes that hold dates which are set here."""

    def new(self, entity: Fields) -> None:
        """Complete a new entity in place."""
        for name, value in self._values.items():
            if name not in entity:
                entity[name] = copy.copy(value)
        self._begin_items(entity, {})
        if self.dates:
            now = rfc3339(self._clock.now())
            for name, may_be_given in self._first_dates:
                if not may_be_given or name not in entity:
                    entity[name] = now
            entity.update(dict.fromkeys(self._resource.stamped_on_write, now))

    def keep(self, before: Fields, after: Fields) -> None:
        """Take the dates of an entity that is written from what it was before, whatever the body says."""
        for name in self.dates:
            if name in before:
                after[name] = before[name]
            else:
                after.pop(name, None)

    def changed(self, before: Fields, after: Fields) -> None:
        """Complete changed content in place."""
        self._begin_items(after, before)
        resource = self._resource
        dates = resource.stamped_on_write
        if resource.stamped_on_status and resource.status_attribute is not None:
            status = resource.status_attribute
            if before.get(status) != after.get(status):
                dates = (*dates, *resource.stamped_on_status)
        if dates:
            after.update(dict.fromkeys(dates, rfc3339(self._clock.now())))

    def _begin_items(self, after: Fields, before: Fields) -> None:
        """Give items that are new, and have no state, their first one."""
        for path, status, initial in self._items:
            items = after.get(path)
            if type(items) is not list or items == before.get(path):
                continue
            known = {item.get("id") for item in before.get(path, ()) if type(item) is dict}
            for item in items:
                if type(item) is dict and item.get(status) is None and item.get("id") not in known - {None}:
                    item[status] = initial
