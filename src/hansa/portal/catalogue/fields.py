"""Values of entities as pages show them.

Bodies are checked against the model of their type when they are stored, but attributes can be absent,
extensions can have any form, and replicas come from elsewhere: what is not of the expected form is left
out.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from hansa.business.search.results import Named

Fields = Mapping[str, Any]

ITEMS_MAX: Final = 200
"""Of a list, that a page shows."""
NO_FIELDS: Final[Fields] = MappingProxyType({})


def text_in(fields: Fields, name: str) -> str:
    """A text; empty when there is none."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def fields_in(fields: Fields, name: str) -> Fields:
    """An object; empty when there is none."""
    value = fields.get(name)
    return value if isinstance(value, dict) else NO_FIELDS


def items_in(fields: Fields, name: str) -> tuple[Fields, ...]:
    """The objects of a list."""
    value = fields.get(name)
    return tuple(one for one in value[:ITEMS_MAX] if isinstance(one, dict)) if isinstance(value, list) else ()


def number_in(fields: Fields, name: str) -> float | None:
    """A number; None when there is none."""
    value = fields.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def named(fields: Fields) -> Named:
    """An entity, or a reference to one, by its name; without one, by its identifier."""
    return Named(text_in(fields, "id"), text_in(fields, "name") or text_in(fields, "id"))


def references_in(fields: Fields, name: str) -> tuple[Named, ...]:
    """The entities that a list refers to, with the names that the references give them."""
    return tuple(named(one) for one in items_in(fields, name) if text_in(one, "id"))


def scalar(value: Any) -> str:
    """A value of a characteristic in one line."""
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, dict):
        parts = (scalar(one) for one in value.values())
        return " ".join(part for part in parts if part)
    if isinstance(value, list):
        return ", ".join(scalar(one) for one in value[:ITEMS_MAX])
    return "" if value is None else str(value)


def path_of(collection: str, entity_id: str) -> str:
    """Where the pages have an entity, as `/offerings/urn:…`."""
    return f"/{collection}/{quote(entity_id, safe=':')}"
