from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from hansa.business.http.response_cache import ResponseCache
from hansa.business.hub.signatures import new_secret, signature_headers
from hansa.business.jobs.files import JobFiles
from hansa.business.models import Api
from hansa.business.models.form import read_model
from hansa.business.openapi import openapi_document
from hansa.business.openapi.links import METHODS
from hansa.business.routes import api_routes
from tests.support.business import CATALOG, ENDPOINT, MODELS, PARTY, Business, open_business

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
        "/": ["get"],
        "/openapi.json": ["get"],
        "/thing": ["get", "patch", "post"],
        "/thing/{id}": ["delete", "get", "patch", "put"],
        "/note": ["get"],
        "/note/{id}": ["get"],
    }
    assert {"/hub", "/hub/{id}"} <= paths.keys()


def test_every_route_is_described_and_everything_described_is_a_route(tmp_path: Path) -> None:
    business = asyncio.run(open_business(job_folder=tmp_path))
    files = JobFiles(tmp_path, MODELS, business.clock, business.limits)
    for api in MODELS.apis:
        operations, served = business.app.operations[api.id], set()
        for path, one in api_routes(operations, business.context, ResponseCache(1_000_000), files).items():
            relative = "/" + path.removeprefix(api.base_path)
            relative = re.sub(r"\{\w+JobId\}", "{id}", relative)
            for place, methods in ((relative, one.collection), (f"{relative}/{{id}}", one.item)):
                served |= {(place, method.lower()) for method in methods if method != "HEAD"}
        paths = msgspec.json.decode(openapi_document(api, ENDPOINT))["paths"]
        described = {(path, method) for path, item in paths.items() for method in item if method in METHODS}
        assert served == described, (api.id, served ^ described)


def test_what_is_created_leads_to_every_operation_on_it() -> None:
    linked = 0
    for api in MODELS.apis:
        paths = msgspec.json.decode(openapi_document(api, ENDPOINT))["paths"]
        for path, item in paths.items():
            links = item.get("post", {}).get("responses", {}).get("201", {}).get("links", {})
            below = {
                item[method]["operationId"]
                for other, item in paths.items()
                for method in METHODS
                if re.fullmatch(re.escape(path) + r"/\{\w+\}(/\w+)?", other) and method in item
            }
            if item.get("post", {}).get("responses", {}).get("201"):
                assert links.keys() == below, (api.id, path)
                linked += len(links)
    assert linked > 1000


def test_a_notification_is_described_with_its_signature() -> None:
    (operation,) = described()["paths"]["/hub"]["post"]["callbacks"]["event"].values()
    sent = signature_headers([new_secret(os.urandom)], "1", 1, b"{}")
    parameters = {one["name"]: one for one in operation["post"]["parameters"]}
    assert parameters.keys() == sent.keys()
    for name, value in sent.items():
        assert re.search(parameters[name]["schema"].get("pattern", ""), value)


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
    assert set(create["properties"]) == {"id", "name", "kind", "other", "period", "@type", "visibleTo"}
    assert create["properties"]["other"]["items"] == {"$ref": "#/components/schemas/ThingRef_FVO"}
    assert create["properties"]["other"]["minItems"] == 1
    assert schemas["ThingRef_FVO"]["required"] == ["id"]
    assert bare(create["properties"]["period"]) == {"$ref": "#/components/schemas/Period"}
    assert set(update["properties"]) == {"name", "other", "period", "visibleTo"}
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
