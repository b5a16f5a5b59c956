"""Shapes and the walk that explains: what fits a shape is right, and what is plainly right fits."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.business.models import Api, Attribute, load
from hansa.business.models.form import read_model
from hansa.business.validation.validator import Validator

MODELS = load()
VALIDATORS: Final = [(Validator(api), api) for api in MODELS.apis]
SERVED: Final = [
    (validator, api, resource.type) for validator, api in VALIDATORS for resource in api.resources
]
MOMENT: Final = "2026-02-28T23:59:59.123Z"
PLAIN: Final[dict[str, tuple[object, ...]]] = {
    "string": ("", "text"),
    "base64": ("aGk=",),
    "uri": ("urn:a:b", "https://a.example/b?c=d"),
    "date-time": (MOMENT, "2024-02-28T00:00:00Z", "2026-12-31T12:00:00+02:00"),
    "boolean": (True, False),
    "integer": (0, -7, 2**40),
    "number": (0, 1.5, -2),
    "object": ({}, {"a": [None]}),
    "any": ("text", 1, 2.5, True, {"a": None}, [1, None]),
}
ODD: Final[tuple[object, ...]] = (
    *(
        None,
        True,
        0,
        1.0,
        1.5,
        -1,
        2**70,
        1e300,
        "",
        "x",
        "a b",
        "a\n",
        "https://a.example/\x7f",
        [],
        {},
        [[]],
    ),
    *([None], [1], ["x"], [{}], {"id": None}, {"id": "1", "@type": "X"}, {"name": 7}),
    *(
        MOMENT,
        f"{MOMENT}\n",
        f" {MOMENT}",
        MOMENT.lower(),
        MOMENT.replace("T", " "),
        MOMENT[:-1],
        MOMENT[:10],
    ),
    *(f"2026-{day}T00:00:00Z" for day in ("02-29", "02-30", "04-31", "00-01", "13-01", "01-32")),
    *(
        f"2026-01-01T{time}"
        for time in ("24:00:00Z", "23:60:00Z", "23:59:60Z", "00:00:00.1Z", "00:00:00.1234567Z")
    ),
    *(f"2026-01-01T00:00:00{zone}" for zone in ("z", "+24:00", "+0200", "-00:00", "+02:00:30", "٣")),
    *("0000-01-01T00:00:00Z", "٢٠٢٦-01-01T00:00:00Z", "2024-02-29T00:00:00Z"),
    *(
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
    ),
)
DEPTH_MAX: Final = 3

Draw = Callable[[st.SearchStrategy[Any]], Any]


def body(draw: Draw, api: Api, type_name: str, *, with_odd: bool, depth: int = 0) -> dict[str, Any]:
    """An object of a type: what it has to have, some of the rest, and perhaps what is wrong there."""
    attributes = api.attributes_of(type_name).values()
    needed = [one for one in attributes if one.is_required]
    rest = [one for one in attributes if not one.is_required]
    more = draw(st.lists(st.sampled_from(rest), max_size=4, unique_by=lambda one: one.name)) if rest else []
    held = [*needed, *more]
    if with_odd and needed and draw(st.integers(0, 7)) == 0:
        held = held[1:]
    entity = {one.name: value(draw, api, one, with_odd=with_odd, depth=depth + 1) for one in held}
    return {**entity, "somethingOfTheirs": {"a": None}} if draw(st.booleans()) else entity


def value(draw: Draw, api: Api, item: Attribute, *, with_odd: bool, depth: int) -> object:
    """What an attribute may have, or may not."""
    if with_odd and draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(ODD))
    if item.is_list:
        count = item.items_min if depth > DEPTH_MAX else max(item.items_min, draw(st.integers(0, 2)))
        count = count if item.items_max is None else min(count, item.items_max)
        return [one_value(draw, api, item.type, with_odd=with_odd, depth=depth) for _ in range(count)]
    return one_value(draw, api, item.type, with_odd=with_odd, depth=depth)


def one_value(draw: Draw, api: Api, type_name: str, *, with_odd: bool, depth: int) -> object:
    if type_name in PLAIN:
        return draw(st.sampled_from(PLAIN[type_name]))
    if type_name in api.enumerations:
        return draw(st.sampled_from(api.enumerations[type_name] or ("anything",)))
    if type_name in api.lists:
        return value(draw, api, api.lists[type_name], with_odd=with_odd, depth=depth)
    return body(draw, api, type_name, with_odd=with_odd, depth=depth)


@given(st.data())
def test_nothing_is_wrong_in_what_fits_and_nothing_is_taken_away(data: st.DataObject) -> None:
    validator, api, type_name = data.draw(st.sampled_from(SERVED))
    sent = body(data.draw, api, type_name, with_odd=True)
    walked = copy.deepcopy(sent)
    fits = validator.shapes.fits(type_name, sent)
    violations = validator.violations(type_name, walked)
    assert not fits or (not violations and walked == sent)


@given(st.data())
def test_what_is_plainly_right_fits(data: st.DataObject) -> None:
    validator, api, type_name = data.draw(st.sampled_from(SERVED))
    sent = body(data.draw, api, type_name, with_odd=False)
    assert not validator.violations(type_name, copy.deepcopy(sent))
    assert validator.shapes.fits(type_name, sent)


PROBE: Final = read_model(
    """
api = "TMF999"
title = "Probe"
version = "4.0.0"
base_path = "/tmf-api/probe/v4/"

[resource.probe]
type = "Probe"
methods = ["create"]

[type.Probe]
"""
    + "\n".join(
        f'"a {primitive}" = "{primitive}"\n"some {primitive}" = "{primitive}[]"' for primitive in PLAIN
    ),
    "probe",
)


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("primitive", sorted(PLAIN))
def test_what_fits_a_primitive_is_right(primitive: str, odd: object) -> None:
    validator = Validator(PROBE)
    for sent in ({f"a {primitive}": odd}, {f"some {primitive}": [odd]}, {f"some {primitive}": odd}):
        walked = copy.deepcopy(sent)
        fits = validator.shapes.fits("Probe", sent)
        violations = validator.violations("Probe", walked)
        assert not fits or (not violations and walked == sent)


@pytest.mark.parametrize("primitive", sorted(PLAIN))
def test_what_is_right_fits_its_primitive(primitive: str) -> None:
    validator = Validator(PROBE)
    for right in PLAIN[primitive]:
        assert validator.shapes.fits("Probe", {f"a {primitive}": right, f"some {primitive}": [right, right]})
