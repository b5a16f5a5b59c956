"""The form of an offering: what is offered, in which category, at which prices and under which terms."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from hansa.portal.catalogue.fields import Fields, fields_in, items_in, text_in
from hansa.portal.providers.editing.forms.kinds import DRAFT_STATES
from hansa.portal.providers.editing.forms.values import (
    SAME_ROW,
    BuiltEntity,
    FormRows,
    Values,
    build_rows,
    build_texts,
    build_validity,
    element_of,
    filled,
    number_of,
    put,
    row_values,
    shown_number,
    text_values,
    validity_values,
    value,
)

TEXTS: Final = {"name": "name", "description": "description", "version": "version"}
ROWS: Final = FormRows(
    "terms",
    "productOfferingTerm",
    {
        "": "name",
        ".name": "name",
        ".description": "description",
        ".duration": "amount",
        ".duration.units": "unit",
    },
    idle=("unit",),
)
LICENCE: Final = "licence"
"""`attachmentType` of the document that is the licence."""
_REFERENCES: Final = {
    "category": ("category", "Category"),
    "prices": ("productOfferingPrice", "ProductOfferingPrice"),
}
"""Attribute and type by field."""


def offering_values(entity: Fields) -> dict[str, tuple[str, ...]]:
    """What stands in the form of an offering."""
    values = text_values(entity, TEXTS)
    status = text_in(entity, "lifecycleStatus")
    values["status"] = (status if status in DRAFT_STATES else "",)
    values["specification"] = (text_in(fields_in(entity, "productSpecification"), "id"),)
    for field, (attribute, _) in _REFERENCES.items():
        values[field] = filled(text_in(one, "id") for one in items_in(entity, attribute))
    values |= row_values(entity, ROWS, _term_row)
    licence = _licence(entity)
    values["licence.name"], values["licence.url"] = (text_in(licence, "name"),), (text_in(licence, "url"),)
    return values | validity_values(entity)


def built_offering(values: Values, base: Fields, names: Mapping[str, str]) -> BuiltEntity:
    """The offering that a form says; what the form does not know stays as it is in `base`.

    Args:
        values: Of the form.
        base: What the form began with.
        names: Of what can be referred to, by identifier.
    """
    entity, before = copy.deepcopy(dict(base)), offering_values(base)
    places: dict[str, str] = {"lifecycleStatus": "status", "productSpecification": "specification"}
    build_texts(entity, places, values, before, TEXTS)
    build_validity(entity, places, values, before)
    status = value(values, "status")
    if status in DRAFT_STATES and status != value(before, "status"):
        entity["lifecycleStatus"] = status
    specification = value(values, "specification")
    if specification != value(before, "specification"):
        reference = _reference(specification, "ProductSpecification", names) if specification else {}
        put(entity, "productSpecification", reference)
    for field, (attribute, type_name) in _REFERENCES.items():
        places[attribute] = field
        ids = filled(values.get(field, ()))
        if ids != filled(before.get(field, ())):
            known = {text_in(one, "id"): one for one in items_in(base, attribute)}
            without = [one for one in items_in(base, attribute) if not text_in(one, "id")]
            made = [known.get(id) or _reference(id, type_name, names) for id in ids]
            put(entity, attribute, [*made, *without])
    _build_licence(entity, places, values, before)
    missing = ["name"] if not value(values, "name") else []
    missing += build_rows(entity, places, values, ROWS, _term)
    return BuiltEntity(entity, places, tuple(missing))


def _reference(id: str, type_name: str, names: Mapping[str, str]) -> dict[str, Any]:
    reference = {"id": id, "@referredType": type_name}
    put(reference, "name", names.get(id, ""))
    return reference


def _term_row(one: Fields, number: int) -> dict[str, str]:
    duration = fields_in(one, "duration")
    return {
        "name": text_in(one, "name"),
        "description": text_in(one, "description"),
        "amount": shown_number(duration.get("amount")),
        "unit": text_in(duration, "units"),
        SAME_ROW: str(number),
    }


def _term(fields: Mapping[str, str], known: Fields) -> dict[str, Any]:
    before = _term_row(known, 0) if known else {}
    one = element_of(fields, known, before)
    if any(fields.get(name, "") != before.get(name, "") for name in ("amount", "unit")):
        duration = dict(fields_in(one, "duration"))
        put(duration, "amount", number_of(fields.get("amount", "")))
        put(duration, "units", fields.get("unit", "") if fields.get("amount") else "")
        put(one, "duration", duration)
    return one


def _licence(entity: Fields) -> Fields:
    return next(
        (one for one in items_in(entity, "attachment") if text_in(one, "attachmentType") == LICENCE), {}
    )


def _build_licence(entity: dict[str, Any], places: dict[str, str], values: Values, before: Values) -> None:
    name, url = value(values, "licence.name"), value(values, "licence.url")
    existing = [dict(one) for one in items_in(entity, "attachment")]
    at = next((i for i, one in enumerate(existing) if text_in(one, "attachmentType") == LICENCE), None)
    if (name, url) != (value(before, "licence.name"), value(before, "licence.url")):
        licence: dict[str, Any] = existing.pop(at) if at is not None else {"attachmentType": LICENCE}
        put(licence, "name", name)
        put(licence, "url", url)
        if name or url:
            at = len(existing) if at is None else at
            existing.insert(at, licence)
        put(entity, "attachment", existing)
    if at is not None:
        place = f"attachment[{at}]"
        places |= {place: "licence.url", f"{place}.name": "licence.name", f"{place}.url": "licence.url"}
