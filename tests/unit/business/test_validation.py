"""Bodies against models: the message for each kind of mistake."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.business.models import load
from hansa.business.models.form import read_model
from hansa.business.validation.validator import Validator
from hansa.business.validation.violations import VIOLATIONS_MAX
from hansa.core.errors import Code, Refused
from tests.unit.business.test_model_form import SMALL

MODELS = load()
OFFERING = {"id": "o1", "name": "Edge node"}
PARTY = {"id": "p1", "@referredType": "Organization"}


def refusal_of(type_name: str, body: Any) -> str:
    """The message for a body; empty when it is valid."""
    api, _ = MODELS.served(type_name)
    try:
        Validator(api).check(type_name, body)
    except Refused as error:
        return error.message if error.code is Code.INVALID else f"not {error.code}"
    return ""


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"description": None},
        {"isBundle": False},
        {"category": []},
        {"category": [{"id": "c1", "name": "Edge", "@referredType": "Category"}]},
        {"validFor": {"startDateTime": "2026-01-01T00:00:00.000Z"}},
        {"validFor": {"startDateTime": "2026-01-01T00:00:00+02:00"}},
        {"validFor": {"startDateTime": "2026-01-01T00:00:00+0000"}},
        {"validFor": {"startDateTime": "2026-01-01T00:00"}},
        {"validFor": {"startDateTime": "0001-01-01T00:00:00-14:00", "endDateTime": "9999-12-31T23:59:59Z"}},
        {"productOfferingTerm": [{"duration": {"amount": 3.0, "units": "month"}}]},
        {"relatedParty": [{**PARTY, "somethingOfTheirs": {"deep": [1]}}]},
        {"prodSpecCharValueUse": [{"productSpecCharacteristicValue": [{"value": {"any": ["thing", 1]}}]}]},
    ],
)
def test_a_body_within_the_model_is_accepted(more: dict[str, Any]) -> None:
    assert not refusal_of("ProductOffering", {**OFFERING, **more})


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"name": None}, "name: is required."),
        ({"name": 7}, "name: must be a string, not 7."),
        *(
            (
                {"validFor": {"endDateTime": moment}},
                f'validFor.endDateTime: must be a date-time (RFC 3339) of the years 1 to 9999, as 2026-01-31T12:00:00Z, not "{moment}".',
            )
            for moment in ("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+1400", "9999-12-31T23:59-00:01")
        ),
        ({"isBundle": "yes"}, 'isBundle: must be true or false, not "yes".'),
        ({"isBundle": 1}, "isBundle: must be true or false, not 1."),
        ({"category": {"id": "c"}}, 'category: must be an array, not {"id":"c"}.'),
        ({"category": ["c"]}, 'category[0]: must be an object, not "c".'),
        ({"category": [{"id": "c"}, {}]}, "category[1].id: is required."),
        ({"validFor": []}, "validFor: must be an object, not []."),
        (
            {"validFor": {"endDateTime": "tomorrow"}},
            'validFor.endDateTime: must be a date-time (RFC 3339) of the years 1 to 9999, as 2026-01-31T12:00:00Z, not "tomorrow".',
        ),
        (
            {"validFor": {"endDateTime": "2026-13-01T00:00:00Z"}},
            'validFor.endDateTime: must be a date-time (RFC 3339) of the years 1 to 9999, as 2026-01-31T12:00:00Z, not "2026-13-01T00:00:00Z".',
        ),
        ({"@schemaLocation": "not a uri"}, '@schemaLocation: must be a URI (RFC 3986), not "not a uri".'),
        (
            {"productOfferingTerm": [{"duration": {"amount": True}}]},
            "productOfferingTerm[0].duration.amount: must be an integer, not true.",
        ),
        ({"relatedParty": [{"id": "p1"}]}, "relatedParty[0].@referredType: is required."),
    ],
)
def test_a_mistake_is_reported_with_path_rule_and_value(more: dict[str, Any], message: str) -> None:
    assert refusal_of("ProductOffering", {**OFFERING, **more}) == message


def test_an_enumeration_names_its_values() -> None:
    body = {"id": "x", "tradingName": "Hanse", "status": "asleep"}
    assert (
        refusal_of("Organization", body)
        == 'status: must be one of initialized, validated, closed, not "asleep".'
    )


def test_all_violations_are_in_one_message_up_to_a_bound() -> None:
    categories = [{"id": number} for number in range(50)]
    message = refusal_of("ProductOffering", {"name": 1, "category": categories})
    assert "name: must be a string" in message
    assert message.count("must be a string") == VIOLATIONS_MAX
    assert len(message) < 2000


def test_a_long_value_is_cut_in_the_message() -> None:
    message = refusal_of("ProductOffering", {**OFFERING, "isBundle": "x" * 10_000})
    assert len(message) < 150
    assert "…" in message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"step": [{"step": [{"step": []}]}]},
            "step[0].step[0].step: must have at least 1 element(s), not [].",
        ),
        ({}, "step: is required."),
        ({"step": []}, "step: must have at least 1 element(s), not []."),
    ],
)
def test_a_type_may_hold_itself(body: Any, message: str) -> None:
    with pytest.raises(Refused) as caught:
        Validator(read_model(SMALL, "small")).check("Task", body)
    assert caught.value.message == message


def test_what_a_create_must_carry_is_not_required_of_a_value_of_the_type_within_another_entity() -> None:
    Validator(read_model(SMALL, "small")).check("Task", {"step": [{"step": [{}]}]})


def test_attributes_that_are_null_are_taken_away_at_every_depth() -> None:
    body = {
        "name": "Basic",
        "version": None,
        "validFor": {"endDateTime": None},
        "category": [{"id": "1", "name": None}],
    }
    assert refusal_of("ProductOffering", body) == ""
    assert body == {"name": "Basic", "validFor": {}, "category": [{"id": "1"}]}


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ([1, 2], ""),
        ([1], "at: must have at least 2"),
        ([1, 2, 3], "at: must have at most 2"),
        (["x", 1], "at[0]: must be a number"),
    ],
)
def test_list_types_are_bounded(at: Any, message: str) -> None:
    validator = Validator(read_model(SMALL, "small"))
    if not message:
        validator.check("Corner", {"at": at})
        return
    with pytest.raises(Refused) as caught:
        validator.check("Corner", {"at": at})
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    "odd", [None, 1, 1.5, "x", [], {}, True, [[]], {"": None}, "2026-01-01T", "\x00", 10**400]
)
def test_no_value_makes_a_check_fail_in_itself(odd: Any) -> None:
    for api in MODELS.apis:
        for resource in api.resources:
            attributes = api.attributes_of(resource.type)
            body = dict.fromkeys(attributes, odd)
            refusal_of(resource.type, body)
            refusal_of(resource.type, {name: [odd] for name in attributes})
            assert refusal_of(resource.type, {name: {"x": odd} for name in attributes})
