"""The form of a specification: what something is, and its characteristics."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from hansa.portal.catalogue.fields import Fields, items_in, scalar, text_in
from hansa.portal.providers.editing.forms.values import (
    SAME_ROW,
    BuiltEntity,
    FormRows,
    Values,
    build_rows,
    build_texts,
    build_validity,
    element_of,
    number_of,
    put,
    row_values,
    shown_number,
    text_values,
    validity_values,
    value,
)

VALUES: Final = "productSpecCharacteristicValue"
ROWS: Final = FormRows(
    "characteristics",
    "productSpecCharacteristic",
    {
        "": "name",
        ".name": "name",
        ".description": "description",
        f".{VALUES}": "values",
        ".valueType": "values",
        ".configurable": "is_choice",
    },
)
TEXTS: Final = {
    "name": "name",
    "description": "description",
    "brand": "brand",
    "number": "productNumber",
    "version": "version",
}


def specification_values(entity: Fields) -> dict[str, tuple[str, ...]]:
    """What stands in the form of a specification."""
    return text_values(entity, TEXTS) | validity_values(entity) | row_values(entity, ROWS, _row)


def built_specification(values: Values, base: Fields) -> BuiltEntity:
    """The specification that a form says; what the form does not know stays as it is in `base`."""
    entity, before = copy.deepcopy(dict(base)), specification_values(base)
    places: dict[str, str] = {}
    build_texts(entity, places, values, before, TEXTS)
    build_validity(entity, places, values, before)
    missing = ["name"] if not value(values, "name") else []
    missing += build_rows(entity, places, values, ROWS, _characteristic)
    return BuiltEntity(entity, places, tuple(missing))


def _row(one: Fields, number: int) -> dict[str, str]:
    items = items_in(one, VALUES)
    units = [text_in(item, "unitOfMeasure") for item in items]
    return {
        "name": text_in(one, "name"),
        "values": "\n".join(_shown(item) for item in items),
        "unit": next((unit for unit in units if unit), ""),
        "is_choice": "yes" if one.get("configurable") is True else "",
        "description": text_in(one, "description"),
        SAME_ROW: str(number),
    }


def _shown(item: Fields) -> str:
    if "value" in item:
        return shown_number(item["value"])
    return f"{scalar(item.get('valueFrom'))} … {scalar(item.get('valueTo'))}"


def _characteristic(fields: Mapping[str, str], known: Fields) -> dict[str, Any]:
    before = _row(known, 0) if known else {}
    one = element_of(fields, known, before)
    if not known or bool(fields.get("is_choice")) != bool(before.get("is_choice")):
        one["configurable"] = bool(fields.get("is_choice"))
    if any(fields.get(name, "") != before.get(name, "") for name in ("values", "unit")):
        texts = [text.strip() for text in fields.get("values", "").split("\n") if text.strip()]
        numbers = [number_of(text) for text in texts]
        is_numeric = bool(texts) and not any(isinstance(number, str) for number in numbers)
        was_text = text_in(one, "valueType") == "string"
        contents: list[Any] = numbers if is_numeric and not was_text else list(texts)
        put(one, VALUES, [_value(content, fields.get("unit", ""), known) for content in contents])
        if not text_in(one, "valueType") or (not is_numeric and not was_text):
            is_whole = is_numeric and all(isinstance(number, int) for number in numbers)
            one["valueType"] = "integer" if is_whole else "number" if is_numeric else "string"
        for number, item in enumerate(one.get(VALUES, ())):
            item["isDefault"] = number == 0
    return one


def _value(content: Any, unit: str, known: Fields) -> dict[str, Any]:
    """A value, with what the one before said of it that the form does not know."""
    same = next((item for item in items_in(known, VALUES) if item.get("value") == content), {})
    item = {**same, "value": content}
    put(item, "unitOfMeasure", unit)
    return item
