from __future__ import annotations

from typing import Any, Final

import msgspec

from hansa.business.models import Api
from hansa.business.models.form import read_model
from hansa.business.openapi import openapi_document
from tests.support.business import CATALOG, ENDPOINT, MODELS, PARTY, Business

SMALL: Final = """
api = "TMF999"
title = "Small"
version = "4.0.0"
base_path = "/tmf-api/small/v4/"

[resource.thing]
type = "Thing"
methods = ["list", "create", "retrieve", "patch"]
visibility = "catalogue"
stamped_on_write = ["lastUpdate"]
operator_methods = ["delete"]
events = ["Create"]

[resource.note]
type = "Note"
methods = ["list", "retrieve"]

[type.Thing]
id = "string read-only"
href = "string read-only"
name = "string required"
lastUpdate = "date-time"
kind = "string create-only"
other = "ThingRef[1..3]"
period = "Period"
"@" = "type"

[type.Note]
id = "string"
href = "string"
text = "string"

[type.ThingRef]
id = "string required"
name = "string"

[type.Period]
from = "date-time"
"""


def small() -> Api:
    return read_model(SMALL, "small")


def described() -> Any:
    return msgspec.json.decode(openapi_document(small(), ENDPOINT))


def test_the_paths_are_those_of_the_model_and_the_hub() -> None:
    paths = described()["paths"]
    assert {
        path: sorted(item.keys() - {"parameters"}) for path, item in paths.items() if "hub" not in path
    } == {
        "/thing": ["get", "patch", "post"],
        "/thing/{id}": ["delete", "get", "patch", "put"],
        "/note": ["get"],
        "/note/{id}": ["get"],
    }
    assert {"/hub", "/hub/{id}"} <= paths.keys()


def test_a_method_of_operators_says_so() -> None:
    item = described()["paths"]["/thing/{id}"]
    assert item["delete"]["x-hansa-role"] == "operator"
    assert "405" in item["delete"]["responses"]
    assert "x-hansa-role" not in item["patch"]


def test_reading_a_catalogue_needs_no_token_and_all_else_does() -> None:
    paths = described()["paths"]
    assert paths["/thing"]["get"]["security"] == [{}, {"bearer": []}]
    assert paths["/thing"]["post"]["security"] == [{"bearer": []}]
    assert paths["/note"]["get"]["security"] == [{"bearer": []}]


def bare(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without what it says to people."""
    return {key: value for key, value in schema.items() if key not in {"description", "examples"}}


def test_of_an_answer_nothing_is_required_but_its_identity() -> None:
    schemas = described()["components"]["schemas"]
    assert schemas["Thing"]["required"] == ["id", "href"]
    assert bare(schemas["Thing"]["properties"]["other"]) == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/ThingRef"},
        "maxItems": 3,
    }
    assert "required" not in schemas["ThingRef"]


def test_a_body_has_what_a_client_may_set_and_must_set() -> None:
    schemas = described()["components"]["schemas"]
    create, update = schemas["Thing_Create"], schemas["Thing_Update"]
    assert create["required"] == ["name"]
    assert set(create["properties"]) == {"id", "name", "kind", "other", "period", "@type"}
    assert create["properties"]["other"]["items"] == {"$ref": "#/components/schemas/ThingRef_FVO"}
    assert create["properties"]["other"]["minItems"] == 1
    assert schemas["ThingRef_FVO"]["required"] == ["id"]
    assert bare(create["properties"]["period"]) == {"$ref": "#/components/schemas/Period"}
    assert set(update["properties"]) == {"name", "other", "period"}
    assert "required" not in update
    assert bare(update["properties"]["name"]) == {"type": ["string", "null"]}


def test_notifications_are_described_to_listeners() -> None:
    document = described()
    post = document["paths"]["/hub"]["post"]
    (operation,) = post["callbacks"]["event"].values()
    schema = operation["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/EventNotification"}
    actual = document["components"]["schemas"]["EventNotification"]["properties"]
    assert actual["eventType"]["examples"] == ["ThingCreateEvent"]
    assert actual["event"]["properties"].keys() == {"thing"}


async def test_the_example_of_a_create_is_one_that_is_taken(business: Business) -> None:
    for path, resource in ((CATALOG, "productOffering"), (PARTY, "organization")):
        api = next(one for one in MODELS.apis if one.base_path.rstrip("/") == path)
        paths = msgspec.json.decode(openapi_document(api, ENDPOINT))["paths"]
        example = paths[f"/{resource}"]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert (await business.operator.post(f"{path}/{resource}", example)).status == 201


async def test_the_description_is_served_without_a_token_and_answered_304_when_unchanged(
    business: Business,
) -> None:
    answer = await business.anonymous.get(f"{CATALOG}/openapi.json")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    assert answer.json()["servers"] == [{"url": ENDPOINT + CATALOG}]
    again = await business.anonymous.get(
        f"{CATALOG}/openapi.json", headers={"if-none-match": answer.headers["etag"]}
    )
    assert (again.status, again.body) == (304, b"")
    assert (await business.anonymous.post(f"{CATALOG}/openapi.json", {})).status == 405
