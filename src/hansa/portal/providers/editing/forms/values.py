"""What stands in a form: texts by the name of a field. Fields of a row are called `terms.0.name`."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from hansa.portal.catalogue.fields import Fields, fields_in, items_in, scalar, text_in

Values = Mapping[str, tuple[str, ...]]
"""By field; several of a field of which several can be ticked."""

ROWS_MAX: Final = 100
TEXT_MAX_CHARS: Final = 60_000
"""Of one field; the entity has a bound of its own."""
SAME_ROW: Final = "at"
"""Field of a row: its place in the entity that the form began with; empty of a new one."""
REMOVED: Final = "remove"
"""Field of a row: ticked, when it is to be removed."""
_CONTROLS: Final = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\ufffe\\uffff]")
_NUMBER: Final = re.compile(r"-?[0-9]{1,30}(?:[.,][0-9]{1,30})?", re.ASCII)
_INTEGER: Final = re.compile(r"-?[0-9]{1,15}", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class BuiltEntity(msgspec.Struct, frozen=True):
    """What a form makes: an entity, and of which field each place in it comes."""

    fields: dict[str, Any]
    places: dict[str, str]
    """Field by place, as `productOfferingTerm[0].name`."""
    missing: tuple[str, ...] = ()
    """Fields that have to be filled in."""


class FormRows(msgspec.Struct, frozen=True):
    """What the rows of a field are in an entity."""

    field: str
    """As `terms`."""
    attribute: str
    """Whose elements they are."""
    places: Mapping[str, str]
    """Field of a row by place in its element."""
    idle: tuple[str, ...] = ()
    """Fields of a row that is blank all the same."""


def value(values: Values, name: str) -> str:
    """The one text of a field, without blanks at its ends; empty when it has none."""
    texts = values.get(name, ())
    return texts[0].strip() if texts else ""


def cleaned(text: str) -> str:
    """A text as forms take it: lines end as everywhere, and nothing in it controls a terminal."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))[:TEXT_MAX_CHARS]


def rows_in(values: Values, name: str) -> tuple[int, ...]:
    """The numbers of the rows of a field, in order."""
    numbers = set()
    for field in values:
        first, _, rest = field.partition(".")
        number = rest.partition(".")[0]
        if first == name and number.isascii() and number.isdigit() and len(number) < 4:
            numbers.add(int(number))
    return tuple(sorted(numbers))[:ROWS_MAX]


def row(values: Values, name: str, number: int) -> dict[str, str]:
    """The fields of a row."""
    start = f"{name}.{number}."
    return {key.removeprefix(start): value(values, key) for key in values if key.startswith(start)}


def is_blank(fields: Mapping[str, str]) -> bool:
    """Whether nothing stands in a row, or it is to be removed."""
    return bool(fields.get(REMOVED)) or not any(
        text for key, text in fields.items() if key not in {SAME_ROW, "is_choice"}
    )


def number_of(text: str) -> Any:
    """A number as somebody writes it; what is none stays a text, so that the model says what is wrong."""
    if _NUMBER.fullmatch(text) is None:
        return text
    if _INTEGER.fullmatch(text) is not None:
        return int(text)
    return float(text.replace(",", "."))


def instant_of(text: str, *, is_end: bool) -> str:
    """The moment at which a day begins or ends; what is no day stays as it is."""
    if _DATE.fullmatch(text) is None:
        return text
    return f"{text}T23:59:59.000Z" if is_end else f"{text}T00:00:00.000Z"


def text_values(entity: Fields, attributes: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The fields of texts; `attributes` by field."""
    return {field: (text_in(entity, attribute),) for field, attribute in attributes.items()}


def row_values(
    entity: Fields, rows: FormRows, shown: Callable[[Fields, int], Mapping[str, str]]
) -> dict[str, tuple[str, ...]]:
    """The fields of rows; `shown` makes those of one of an element and its number."""
    return {
        f"{rows.field}.{number}.{name}": (text,)
        for number, one in enumerate(items_in(entity, rows.attribute))
        for name, text in shown(one, number).items()
    }


def validity_values(entity: Fields) -> dict[str, tuple[str, ...]]:
    """The fields of a period."""
    period = fields_in(entity, "validFor")
    return {
        "validity.start": (text_in(period, "startDateTime")[:10],),
        "validity.end": (text_in(period, "endDateTime")[:10],),
    }


def build_validity(entity: dict[str, Any], places: dict[str, str], values: Values, before: Values) -> None:
    """Put a period into an entity, as far as somebody changed it."""
    places["validFor.startDateTime"] = "validity.start"
    places["validFor.endDateTime"] = places["validFor"] = "validity.end"
    period = dict(fields_in(entity, "validFor"))
    for name, attribute in (("validity.start", "startDateTime"), ("validity.end", "endDateTime")):
        text = value(values, name)
        if text == value(before, name):
            continue
        if text:
            period[attribute] = instant_of(text, is_end=attribute == "endDateTime")
        else:
            period.pop(attribute, None)
    put(entity, "validFor", period)


def build_texts(
    entity: dict[str, Any],
    places: dict[str, str],
    values: Values,
    before: Values,
    attributes: Mapping[str, str],
) -> None:
    """Put texts into an entity, as far as somebody changed them; `attributes` by field."""
    for field, attribute in attributes.items():
        places[attribute] = field
        text = value(values, field)
        if text != value(before, field):
            put(entity, attribute, text)


def build_rows(
    entity: dict[str, Any],
    places: dict[str, str],
    values: Values,
    rows: FormRows,
    made: Callable[[Mapping[str, str], Fields], dict[str, Any]],
) -> list[str]:
    """Put the rows of a field into an entity, which has those that the form began with.

    What stands beyond the rows that a form has room for stays as it is.

    Args:
        entity: The entity.
        places: Gets the places of the rows.
        values: Of the form.
        rows: What they are.
        made: Makes an element of the fields of a row and of the element that it was made from, if any.

    Returns:
        The fields that are missing.
    """
    listed = entity.get(rows.attribute)
    objects = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    existing = {str(place): one for place, one in enumerate(objects)}
    elements: list[dict[str, Any]] = []
    missing = []
    for number in rows_in(values, rows.field):
        fields = row(values, rows.field, number)
        known = existing.pop(fields.get(SAME_ROW, ""), {})
        if is_blank({**fields, **dict.fromkeys(rows.idle, "")}):
            continue
        place = f"{rows.attribute}[{len(elements)}]"
        for below, name in rows.places.items():
            places[place + below] = f"{rows.field}.{number}.{name}"
        elements.append(made(fields, known))
        if not fields.get("name"):
            missing.append(f"{rows.field}.{number}.name")
    elements += [one for place, one in existing.items() if int(place) >= ROWS_MAX]
    put(entity, rows.attribute, elements)
    return missing


def element_of(fields: Mapping[str, str], known: Fields, before: Mapping[str, str]) -> dict[str, Any]:
    """The element of a row, as it was but for its name and its description.

    Args:
        fields: Of the row.
        known: The element that it was made from.
        before: The fields of that.
    """
    element = copy.deepcopy(dict(known))
    for name in ("name", "description"):
        if fields.get(name, "") != before.get(name, ""):
            put(element, name, fields.get(name, ""))
    return element


def put(entity: dict[str, Any], attribute: str, content: Any) -> None:
    """Set an attribute, or remove it when it would be empty."""
    if content in ("", None, [], {}):
        entity.pop(attribute, None)
    else:
        entity[attribute] = content


def filled(texts: Iterable[str]) -> tuple[str, ...]:
    """Those that are not empty, each once."""
    return tuple(dict.fromkeys(text for text in texts if text))


def shown_number(content: Any) -> str:
    """A number as a field shows it."""
    if isinstance(content, float) and content.is_integer() and abs(content) < 10**15:
        return str(int(content))
    return scalar(content)
