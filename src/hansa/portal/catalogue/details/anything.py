"""The page of an entity of any type: what it says, what it refers to, and where it comes from.

Types that have a page of their own lead there. What the page shows is whatever the body has, by the names of
the model: texts, times, amounts of money, references as links, and what is within them, to a depth.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from hansa.portal.catalogue.fields import Fields, path_of, scalar, text_in
from hansa.portal.catalogue.offering.characteristics import (
    SPECIFIED,
    Characteristic,
    characteristics_of,
)
from hansa.portal.catalogue.origins import Provenance
from hansa.portal.frame.formats import decimal_of, moment_of

DEPTH_MAX: Final = 4
ROWS_MAX: Final = 200
"""Of one object, or of one list."""
VALUES_MAX: Final = 1500
"""Of one page."""
TEXT_MAX_CHARS: Final = 2000
NAMES: Final = ("name", "tradingName", "title", "givenName", "familyName")
"""Attributes by which entities are called."""
APART: Final = frozenset({"id", "href", "description", "lifecycleStatus", "validFor", *NAMES, *SPECIFIED})
"""Attributes that the page has at a place of their own."""
ELSEWHERE: Final = frozenset({"@type", "@baseType", "@schemaLocation", "@referredType", "href"})
"""Attributes of objects within, that say nothing to a person."""


class EntityValue(msgspec.Struct, frozen=True):
    """A value, or several."""

    label: str
    """The attribute, in words; empty in a list."""
    kind: str
    """`text`, `time`, `money`, `entity`, or `rows`."""
    text: str = ""
    currency: str = ""
    path: str = ""
    """Page of the entity that is referred to."""
    rows: tuple[EntityValue, ...] = ()


class AnyEntityPage(msgspec.Struct, frozen=True):
    """For the template `catalogue/entity.html`."""

    id: str
    type: str
    name: str
    description: str
    """Markdown."""
    status: str
    is_public: bool
    valid_from: str
    valid_to: str
    characteristics: tuple[Characteristic, ...]
    references: tuple[EntityValue, ...]
    values: tuple[EntityValue, ...]
    is_cut: bool
    """Whether there is more than a page shows."""
    provenance: Provenance
    api: str


def entity_page(
    type_name: str, fields: Fields, provenance: Provenance, api: str, *, is_public: bool
) -> AnyEntityPage:
    """The page of an entity."""
    reading = _Reading()
    validity = fields.get("validFor")
    period = validity if isinstance(validity, dict) else {}
    rows = reading.rows((name, value) for name, value in fields.items() if name not in APART)
    return AnyEntityPage(
        id=text_in(fields, "id"),
        type=type_name,
        name=_name(fields),
        description=text_in(fields, "description"),
        status=text_in(fields, "lifecycleStatus"),
        is_public=is_public,
        valid_from=text_in(period, "startDateTime"),
        valid_to=text_in(period, "endDateTime"),
        characteristics=characteristics_of(fields),
        references=tuple(row for row in rows if _is_reference(row)),
        values=tuple(row for row in rows if not _is_reference(row)),
        is_cut=reading.is_cut,
        provenance=provenance,
        api=api,
    )


def words_of(attribute: str) -> str:
    """An attribute's name as words: `serviceSpecification` becomes `Service specification`."""
    spaced = "".join(f" {one.lower()}" if one.isupper() else one for one in attribute.lstrip("@"))
    return spaced[:1].upper() + spaced[1:]


class _Reading:
    """Reads a body, and notices when it leaves something out."""

    def __init__(self) -> None:
        self._left = VALUES_MAX
        self.is_cut = False

    def rows(self, pairs: Iterable[tuple[str, Any]], depth: int = 0) -> tuple[EntityValue, ...]:
        """Attributes with something to show."""
        rows = []
        for number, (name, value) in enumerate(pairs):
            if number >= ROWS_MAX:
                self.is_cut = True
                break
            if name in ELSEWHERE or value is None or value in ("", [], {}):
                continue
            rows.append(self._value(words_of(name) if name else "", value, depth))
        return tuple(rows)

    def _value(self, label: str, value: Any, depth: int) -> EntityValue:
        self._left -= 1
        if self._left < 0 or depth > DEPTH_MAX:
            self.is_cut = True
            return EntityValue(label, "text", "…")
        if isinstance(value, list):
            if len(value) == 1:
                return self._value(label, value[0], depth)
            return EntityValue(label, "rows", rows=self.rows((("", one) for one in value), depth + 1))
        if isinstance(value, dict):
            return self._object(label, value, depth)
        text = scalar(value)
        if len(text) > TEXT_MAX_CHARS:
            self.is_cut = True
            text = f"{text[:TEXT_MAX_CHARS]} …"
        is_time = isinstance(value, str) and len(value) > 10 and moment_of(value) is not None
        return EntityValue(label, "time" if is_time else "text", text)

    def _object(self, label: str, value: Fields, depth: int) -> EntityValue:
        entity_id = text_in(value, "id")
        if entity_id and (text_in(value, "href") or text_in(value, "@referredType") or ":" in entity_id):
            role = text_in(value, "role")
            shown = label if not role else f"{label} ({role})" if label else role
            return EntityValue(shown, "entity", _name(value), path=path_of("entities", entity_id))
        amount = next((value[name] for name in ("value", "amount") if name in value), None)
        unit = text_in(value, "unit") or text_in(value, "units")
        if unit and decimal_of(amount) is not None:
            return EntityValue(label, "money", str(amount), unit)
        return EntityValue(label, "rows", rows=self.rows(value.items(), depth + 1))


def _name(fields: Fields) -> str:
    own = next((text for name in NAMES[:3] if (text := text_in(fields, name))), "")
    return own or " ".join(filter(None, (text_in(fields, one) for one in NAMES[3:]))) or text_in(fields, "id")


def _is_reference(row: EntityValue) -> bool:
    return row.kind == "entity" or (
        row.kind == "rows" and bool(row.rows) and all(one.kind == "entity" for one in row.rows)
    )
