"""The written form of a model, and what is asked of models."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hansa.business.models import Models, load
from hansa.business.models.form import attribute, read_model
from hansa.core.errors import Code, Fatal, Refused

SMALL = """
api = "TMF999"
title = "Sample"
version = "4.0.0"
base_path = "/tmf-api/sample/v4/"

[resource.task]
type = "Task"
methods = ["create", "retrieve"]
status = "state"
stamped_on_create = ["creationDate"]
events = ["Create", "StatusChange", "taskDoneEvent"]

[resource."place/corner"]
path = "place/{placeId}/corner"
type = "Corner"
methods = ["list", "retrieve"]
visibility = "catalogue"

[enum]
TaskState = ["running", "done"]

[list]
position = "number[2..2]"

[type.Task]
id = "string read-only"
state = "TaskState"
step = "Task[1..] required"
creationDate = "date-time read-only"
"@" = "type schemaLocation"

[type.Place]
name = "string"

[type.Corner]
"@extends" = "Place"
at = "position"
priority = "integer default=5"
"""


def test_a_model_says_what_its_form_says() -> None:
    api = read_model(SMALL, "small")
    task, corner = api.resources
    assert (task.name, task.methods) == ("task", ("create", "retrieve"))
    assert task.events == ("TaskCreateEvent", "TaskStatusChangeEvent", "taskDoneEvent")
    assert task.visibility == "private"
    assert corner.path == "place/{placeId}/corner"
    assert corner.name == "corner"
    step = api.types["Task"].attributes["step"]
    assert (step.type, step.is_list, step.items_min, step.is_required) == ("Task", True, 1, True)
    assert api.types["Task"].attributes["@type"].access == "create-only"
    assert api.types["Task"].attributes["@schemaLocation"].type == "uri"
    assert set(api.attributes_of("Corner")) == {"name", "at", "priority", "visibleTo"}
    assert api.attributes_of("Corner")["priority"].default == 5
    assert (api.lists["position"].items_min, api.lists["position"].items_max) == (2, 2)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('state = "TaskState"', 'state = "TaskStat"', "'TaskStat', which is not defined"),
        ('type = "Task"\n', 'type = "Tusk"\n', "'Tusk', which is not defined"),
        ('status = "state"', 'status = "condition"', "'condition'"),
        ('"@extends" = "Place"', '"@extends" = "Plaice"', "'Plaice', which is not defined"),
        ('methods = ["create", "retrieve"]', 'methods = ["make"]', "make"),
        ("read-only", "readonly", "'readonly' is not a word of the form"),
        ('at = "position"', 'at = "[position]"', "begin with a type"),
        ('visibility = "catalogue"', 'visible = "catalogue"', "visible"),
        ('base_path = "/tmf-api/sample/v4/"', 'base_path = "/tmf-api/sample/v4"', "slash at both ends"),
        ("[enum]", "[enum", "not a model"),
    ],
)
def test_a_broken_model_is_refused_with_its_name_and_reason(before: str, after: str, message: str) -> None:
    assert before in SMALL
    with pytest.raises(Fatal) as caught:
        read_model(SMALL.replace(before, after), "small.toml")
    assert caught.value.code is Code.SETTINGS_INVALID
    assert "small.toml" in caught.value.message
    assert message in caught.value.message


@pytest.mark.parametrize("written", ["", "string!", "string [2]", "string[2]", "string  required"])
def test_an_attribute_outside_the_form_is_refused(written: str) -> None:
    with pytest.raises(ValueError):
        attribute("name", written)


def test_a_type_that_two_apis_serve_has_a_collection_in_each() -> None:
    models = load()
    assert len(models.apis) == 69
    assert models.path_of("Individual") == ("/tmf-api/party/v4/", "individual")
    assert models.path_of("Service") == ("/tmf-api/serviceInventory/v4/", "service")
    assert models.path_of("TMF640Service") == ("/tmf-api/ServiceActivationAndConfiguration/v4/", "service")
    with pytest.raises(Refused):
        models.path_of("Hovercraft")


@pytest.mark.parametrize(
    ("type_name", "status", "is_public"),
    [
        ("ProductOffering", "Launched", True),
        ("ProductOffering", "Retired", True),
        ("ProductOffering", "Obsolete", True),
        ("ProductOffering", "launched", False),
        ("ProductOffering", "Active", False),
        ("ProductOffering", "In study", False),
        ("ProductOffering", None, False),
        ("Organization", None, True),
        ("Organization", "closed", True),
        ("Individual", None, False),
        ("Individual", "Launched", False),
        ("Hovercraft", "Launched", False),
    ],
)
def test_type_and_exact_status_decide_what_is_public(
    type_name: str, status: str | None, is_public: bool
) -> None:
    assert load().is_public(type_name, status) is is_public


def test_models_that_are_shared_cannot_be_changed() -> None:
    models = load()
    assert models is load()
    api, resource = models.served("AdjustProductStock")
    task, lifecycle = resource.task, models.lifecycle(resource)
    assert task is not None
    assert lifecycle is not None
    extended = msgspec.structs.replace(api, extensions={"ProductStock": {}})
    mappings: list[Any] = [
        *(api.types, api.types["ProductStock"].attributes, api.enumerations, api.lists),
        *(extended.extensions, resource.stamped_in_state, task.items, task.effects[0].sets),
        *(lifecycle.next, models.private_attributes, models.references.closure),
    ]
    for mapping in mappings:
        with pytest.raises(TypeError, match="does not support item assignment"):
            mapping["new"] = ()


def test_models_with_few_routes_leave_the_others_as_they_are() -> None:
    models = load()
    few = models.with_routes_of({"TMF620"})
    assert [api.id for api in few.apis] == ["TMF620"]
    assert few.types == models.types
    assert len(models.apis) == 69


def test_a_new_type_is_private_unless_it_is_marked() -> None:
    models = Models((read_model(SMALL, "small"),))
    assert models.catalogue_types == {"Corner"}
    assert not models.is_public("Task", "Launched")
