from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from jsonschema_rs import Draft202012Validator

from hansa.business.descriptions import ITSELF, LIKE, Descriptions, texts_of
from hansa.business.models import Api
from hansa.business.openapi import openapi_document
from tests.support.business import ENDPOINT, MODELS

APIS: Final = MODELS.apis
WORDS_MIN: Final = 3
FILLED: Final = ("{noun}", "{type}", "{base}", "{kebab}", "{path}")


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    """The documents of all APIs, by their numbers."""
    return {api.id: json.loads(openapi_document(api, ENDPOINT)) for api in APIS}


def properties(part: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and schema of every property within a part of a document, however deep."""
    if isinstance(part, list):
        for index, one in enumerate(part):
            yield from properties(one, f"{place}[{index}]")
    elif isinstance(part, dict):
        is_object_schema = isinstance(part.get("properties"), dict) and "$ref" not in part["properties"]
        for name, one in part["properties"].items() if is_object_schema else ():
            yield f"{place}.{name}", one
        for key, one in part.items():
            if key not in {"example", "examples"}:
                yield from properties(one, f"{place}/{key}")


def is_meaningful(text: object) -> bool:
    """Whether a text is a sentence, with all placeholders filled in."""
    return (
        isinstance(text, str)
        and len(text.split()) >= WORDS_MIN
        and text.endswith(".")
        and not any(name in text for name in FILLED)
    )


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.id)
def test_every_property_of_a_document_is_described(documents: dict[str, Any], api: Api) -> None:
    bad = [
        (place, schema.get("description"))
        for place, schema in properties(documents[api.id], "")
        if not is_meaningful(schema.get("description"))
    ]
    assert not bad


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.id)
def test_every_schema_operation_parameter_and_header_is_described(
    documents: dict[str, Any], api: Api
) -> None:
    document = documents[api.id]
    parts = document["components"]
    bad = [
        f"{kind} {name}"
        for kind in ("schemas", "parameters", "headers", "responses", "securitySchemes")
        for name, one in parts[kind].items()
        if not is_meaningful(one.get("description"))
    ]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            bad += [f"{method} {path}"] if not is_meaningful(operation.get("description")) else []
            bad += [
                f"{method} {path} {one.get('name')}"
                for one in (*item.get("parameters", ()), *operation.get("parameters", ()))
                if "$ref" not in one and not is_meaningful(one.get("description"))
            ]
    bad += [f"tag {tag['name']}" for tag in document["tags"] if not is_meaningful(tag.get("description"))]
    assert not bad


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.id)
def test_every_example_fits_the_schema_beside_it(documents: dict[str, Any], api: Api) -> None:
    document = documents[api.id]
    examples = {
        (json.dumps({**schema, "description": ""}), json.dumps(example)): place
        for place, schema in properties(document, "")
        for example in schema.get("examples", ())
    }
    for (text, example), place in examples.items():
        schema = json.loads(text)
        referred = {"components": document["components"]} if '"$ref"' in text else {}
        assert Draft202012Validator({**schema, **referred}).is_valid(json.loads(example)), (place, example)
    assert examples


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.id)
def test_what_is_described_exists(api: Api) -> None:
    """A text for an attribute that was renamed or removed would never be read."""
    for type_name, texts in texts_of(api.id.lower()).items():
        known = {*api.types, *api.enumerations, *api.lists}
        assert type_name in known
        names = api.attributes_of(type_name) if type_name in api.types else {}
        assert texts.keys() - {ITSELF, LIKE} <= names.keys(), type_name


def test_what_is_described_for_several_apis_exists_in_one() -> None:
    for type_name, texts in texts_of("shared").items():
        owners = [api for api in APIS if {*api.types, *api.enumerations, *api.lists} >= {type_name}]
        assert owners, type_name
        names = {name for api in owners if type_name in api.types for name in api.attributes_of(type_name)}
        assert texts.keys() - {ITSELF, LIKE} <= names, type_name
    names = {name for api in APIS for one in api.types for name in api.attributes_of(one)}
    assert texts_of("names")["name"].keys() <= names


def test_a_text_says_what_this_marketplace_does_with_the_attribute() -> None:
    api = next(one for one in APIS if one.id == "TMF620")
    texts = Descriptions(api)
    offering = api.attributes_of("ProductOffering")
    status = texts.of_attribute("ProductOffering", offering["lifecycleStatus"])
    assert status is not None
    assert "`In study`" in status.description
    assert "`Launched`" in status.description
    update = texts.of_attribute("ProductOffering", offering["lastUpdate"])
    assert update is not None
    assert "This marketplace sets it" in update.description
    price = texts.of_attribute("ProductOfferingPrice", api.attributes_of("ProductOfferingPrice")["price"])
    money = texts.of_attribute("Money", api.attributes_of("Money")["unit"])
    assert price is not None
    assert money is not None
    assert "currency" in price.description
    assert "ISO 4217" in money.description
    assert money.examples == ("EUR",)
