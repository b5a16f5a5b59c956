"""Extensions: what a registered schema says of a type holds wherever the type is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.business import BusinessApp
from hansa.business.query.paths import resolve_path
from hansa.business.validation.extensions import Extensions
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.policies import UnknownExtensions
from tests.support.asgi import AsgiClient
from tests.support.business import CATALOG, MODELS, Business

BANQUET = {
    "$id": "https://market.example/schemas/Banquet",
    "type": "object",
    "required": ["courses"],
    "properties": {
        "courses": {"type": "integer", "minimum": 1},
        "guest": {"type": "array", "items": {"$ref": "https://market.example/schemas/Guest"}},
        "motto": {"type": "string", "pattern": "^(a+)+$"},
    },
}
GUEST = {
    "$id": "https://market.example/schemas/Guest",
    "type": "object",
    "properties": {"name": {"type": "string"}},
}


def loaded(folder: Path, unknown: UnknownExtensions = "keep", **schemas: Any) -> Extensions:
    for name, schema in schemas.items():
        (folder / f"{name}.json").write_text(
            schema if isinstance(schema, str) else json.dumps(schema), encoding="utf-8"
        )
    return Extensions.load(folder, unknown)


def refusal(extensions: Extensions, body: dict[str, Any]) -> str:
    with pytest.raises(Refused) as caught:
        extensions.check("ProductOffering", body, {"ProductOffering", "BundledOffering"})
    assert caught.value.code is Code.INVALID
    return caught.value.message


def test_a_body_of_a_registered_type_is_as_its_schema_says(tmp_path: Path) -> None:
    extensions = loaded(tmp_path, Banquet=BANQUET, Guest=GUEST)
    extensions.check(
        "ProductOffering", {"@type": "Banquet", "courses": 3, "guest": [{"name": "A"}], "other": 1}
    )
    assert extensions.types == {"Banquet", "Guest"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"courses": 0}, "courses: must be valid against the schema of Banquet (it is less than the minimum of 1), not 0."),
        ({}, 'The body: must be valid against the schema of Banquet ("courses" is a required property).'),
        ({"courses": 1, "guest": [{"name": 5}]}, 'guest[0].name: must be valid against the schema of Banquet (it is not of type "string"), not 5.'),
    ],
)  # fmt: skip
def test_what_is_not_so_is_refused_with_path_rule_and_value(
    tmp_path: Path, body: dict[str, Any], message: str
) -> None:
    extensions = loaded(tmp_path, Banquet=BANQUET, Guest=GUEST)
    assert refusal(extensions, {"@type": "Banquet", **body}) == message


def test_a_schema_location_names_a_schema_by_its_id(tmp_path: Path) -> None:
    extensions = loaded(tmp_path, Banquet=BANQUET, Guest=GUEST)
    assert "courses: " in refusal(extensions, {"@schemaLocation": BANQUET["$id"], "courses": "many"})


def test_objects_within_a_body_are_checked_too(tmp_path: Path) -> None:
    extensions = loaded(tmp_path, Banquet=BANQUET, Guest=GUEST)
    body = {"relatedParty": [{"id": "1"}, {"@type": "Guest", "name": 5}]}
    assert refusal(extensions, body).startswith("relatedParty[1].name: ")


def test_a_body_that_announces_nothing_registered_is_stored_as_it_is(tmp_path: Path) -> None:
    extensions = loaded(tmp_path, Banquet=BANQUET, Guest=GUEST)
    extensions.check("ProductOffering", {"@type": "Feast", "@schemaLocation": "https://else.example/Feast"})


def test_an_operator_may_refuse_what_is_not_registered(tmp_path: Path) -> None:
    extensions = loaded(tmp_path, "refuse", Banquet=BANQUET, Guest=GUEST)
    assert refusal(extensions, {"@type": "Feast"}).startswith("@type: must be ProductOffering or")
    assert refusal(extensions, {"@schemaLocation": "https://else.example/F"}).startswith("@schemaLocation: ")
    extensions.check("ProductOffering", {"@type": "BundledOffering"}, {"BundledOffering"})
    extensions.check("ProductOffering", {"@type": "Banquet", "courses": 1})


def test_the_type_under_definitions_is_meant_in_the_form_of_tm_forum(tmp_path: Path) -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"Banquet": {"required": ["x"]}}}  # fmt: skip
    assert '"x" is a required' in refusal(loaded(tmp_path, Banquet=schema), {"@type": "Banquet"})


def test_a_regular_expression_takes_linear_time(tmp_path: Path) -> None:
    extensions = loaded(tmp_path, Banquet=BANQUET, Guest=GUEST)
    assert "motto: " in refusal(extensions, {"@type": "Banquet", "courses": 1, "motto": "a" * 5000 + "!"})


def test_without_a_folder_there_are_no_extensions(tmp_path: Path) -> None:
    assert Extensions.load(tmp_path / "schemas").types == frozenset()


@pytest.mark.parametrize(
    "schema",
    [
        "no JSON",
        [],
        {"type": "feast"},
        {"$ref": "https://else.example/Feast"},
        {"$ref": "file:///etc/hostname"},
        {"$schema": "https://else.example/schema"},
        {"pattern": "(?=a)b"},
    ],
)
def test_a_schema_that_cannot_be_used_ends_the_start_naming_its_file(tmp_path: Path, schema: Any) -> None:
    with pytest.raises(Fatal, match=r"Banquet\.json") as caught:
        loaded(tmp_path, Banquet=schema)
    assert caught.value.code is Code.SETTINGS_INVALID


async def test_a_create_and_a_patch_are_held_to_the_schema(business: Business, tmp_path: Path) -> None:
    context = msgspec.structs.replace(
        business.context, extensions=loaded(tmp_path, Banquet=BANQUET, Guest=GUEST)
    )
    client = AsgiClient(BusinessApp(context)).with_headers(authorization="Bearer provider")
    body = {"name": "feast", "@type": "Banquet", "courses": 0}
    refused = await client.post(f"{CATALOG}/productOffering", body)
    assert (refused.status, "courses: " in refused.json()["message"]) == (400, True)
    made = (await client.post(f"{CATALOG}/productOffering", {**body, "courses": 2})).json()
    assert (await client.patch(made["href"], {"courses": -1})).status == 400
    assert (await client.patch(made["href"], {"courses": 3})).json()["courses"] == 3


NUMBER_ORDER = {
    "$id": "https://market.example/schemas/NumberOrder",
    "allOf": [{"$ref": "#/$defs/Own"}],
    "properties": {"@baseType": {"const": "ResourceOrder"}, "quantity": {"type": "integer"}},
    "$defs": {
        "Own": {
            "properties": {
                "operationType": {"type": "string"},
                "activeFrom": {"type": "string", "format": "date-time"},
                "range": {"type": "array", "items": {"type": "object"}},
            }
        }
    },
}
ORDERS = "/tmf-api/resourceOrderingManagement/v4/resourceOrder"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("@type=NumberOrder&operationType=ASSIGN", "a"),
        ("operationType=ASSIGN,RELEASE&sort=-operationType", "ba"),
        ("sort=operationType&operationType.regex=[AE]", "ab"),
        ("quantity.gte=5", "b"),
        ("activeFrom=2026-01-01T01:00:00%2B01:00", "a"),
        ("range.first=100", "a"),
        ("filter=$[?(@.operationType=='RELEASE')]", "b"),
        ("fields=operationType&operationType=RELEASE", "b"),
    ],
)
async def test_attributes_of_a_registered_type_are_queried_as_the_entitys_own(
    business: Business, tmp_path: Path, query: str, names: str
) -> None:
    context = msgspec.structs.replace(business.context, extensions=loaded(tmp_path, NumberOrder=NUMBER_ORDER))
    client = AsgiClient(BusinessApp(context)).with_headers(authorization="Bearer operator")
    for name, operation, quantity in (("a", "ASSIGN", 1), ("b", "RELEASE", 5), ("c", None, None)):
        own = {"operationType": operation, "quantity": quantity, "activeFrom": "2026-01-01T00:00:00Z"}
        more = {} if name != "a" else {"range": [{"first": 100}]}
        body = {
            "id": name,
            "@type": "NumberOrder",
            **own,
            **more,
            "activeFrom": f"202{6 if name == 'a' else 7}-01-01T00:00:00Z",
        }
        if name == "c":
            body = {"id": "c"}
        answer = await client.post(ORDERS, {**body, "orderItem": [{"id": "1", "action": "add"}]})
        assert answer.status == 201, answer.body
    answer = await client.get(f"{ORDERS}?{query}")
    assert answer.status == 200, answer.body
    assert "".join(one["id"] for one in answer.json()) == names


async def test_a_listener_registers_for_them_and_they_are_unknown_elsewhere(
    business: Business, tmp_path: Path
) -> None:
    context = msgspec.structs.replace(business.context, extensions=loaded(tmp_path, NumberOrder=NUMBER_ORDER))
    client = AsgiClient(BusinessApp(context)).with_headers(authorization="Bearer operator")
    query = "event.resourceOrder.operationType=ASSIGN"
    hub = {"callback": "http://listener.example/", "query": query}
    answer = await client.post("/tmf-api/resourceOrderingManagement/v4/hub", hub)
    assert answer.status == 201, answer.body
    assert (await client.get(f"{CATALOG}/productOffering?operationType=ASSIGN")).status == 400
    assert (await client.get(f"{ORDERS}?operationTyp=ASSIGN")).status == 400
    assert (await business.operator.get(f"{ORDERS}?operationType=ASSIGN")).status == 400


def test_attributes_of_every_type_that_a_document_derives_are_queried_too() -> None:
    """As those of a bank card among payment methods (TMF670)."""
    tried = 0
    for api in MODELS.apis:
        for resource in api.resources:
            for name, item in api.further_attributes_of(resource.type).items():
                assert resolve_path(name, api, resource.type).type in {item.type, "any", "string"}
                tried += 1
    assert tried > 20
