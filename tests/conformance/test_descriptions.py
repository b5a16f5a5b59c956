"""What is served against its description: schemathesis draws requests from each, and every answer has to fit.

Some requests keep to the description, others break it on purpose; what they are answered has to be described
as well.

The number of requests for each operation is bounded; `SCHEMATHESIS_EXAMPLES` asks for more. Requests are
drawn in a fixed order, so that a failure comes again.
"""

from __future__ import annotations

import asyncio
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import validate
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks as openapi_checks

from hansa.business.models import Api
from hansa.business.models.form import read_model
from hansa.business.openapi import openapi_document
from tests.conformance.described import (
    APIS,
    BOUNDED,
    METHODS,
    answered,
    described,
    operations,
    parameters_of,
    prepared,
    seeded,
    undescribed_headers,
)
from tests.support.business import ENDPOINT, open_business

CHECKS: Final = [
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]
NOT_OFFERED: Final = 501
"""A part of the JSONPath language that is not supported is to be answered so (TMF630 Part 6)."""


def sharpened(api: Api, document: dict[str, Any]) -> dict[str, Any]:
    """The same document with requests narrowed to what reaches the store; answers are left as they are.

    Bodies hold no further attributes and are not deep, and parameters name attributes of the type: what the
    door refuses at once needs no hundred examples.
    """
    sharp: dict[str, Any] = json.loads(json.dumps(document))
    attributes = {resource.name: sorted(api.attributes_of(resource.type)) for resource in api.resources}
    for _, _, operation in operations(sharp):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            content["schema"] = shallow(document, content["schema"], 0)
        names = attributes.get(operation["tags"][0], [])
        for index, parameter in enumerate(operation.get("parameters", [])):
            name = parameter.get("$ref", "").rpartition("/")[2]
            chosen = {"fields": [*names, "none"], "sort": [*names, *(f"-{one}" for one in names)]}.get(name)
            if chosen:
                found = {**sharp["components"]["parameters"][name], "schema": {"enum": chosen}}
                operation["parameters"][index] = found
    return sharp


def shallow(document: dict[str, Any], schema: Any, depth: int) -> Any:
    """A schema without references: at the top all attributes, below those that are plain or required."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return shallow(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], depth)
    found = {key: value for key, value in schema.items() if key not in {"readOnly", "description"}}
    if "anyOf" in schema:
        found["anyOf"] = [shallow(document, one, depth) for one in schema["anyOf"]]
    if "items" in schema:
        found["items"] = shallow(document, schema["items"], depth)
        found["maxItems"] = min(schema.get("maxItems", 2), max(2, schema.get("minItems", 0)))
    if "properties" in schema:
        required = schema.get("required", [])
        found["properties"] = {
            name: shallow(document, one, depth + 1)
            for name, one in schema["properties"].items()
            if depth == 0 or name in required or (depth == 1 and not {"$ref", "items", "anyOf"} & one.keys())
        }
        found["additionalProperties"] = False
    return found


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.id)
def test_answers_fit_the_description(api: Api) -> None:
    document = described(api)
    schema = schemathesis.openapi.from_dict(sharpened(api, document))
    with asyncio.Runner() as runner:
        business = runner.run(open_business())
        ids = runner.run(seeded(business, api, document))
        for result in schema.get_all_operations():
            assert isinstance(result, Ok), result
            operation = result.ok()

            @given(
                case=operation.as_strategy() | operation.as_strategy(GenerationMode.NEGATIVE),
                there=st.booleans(),
                token=st.sampled_from(
                    ("operator", "operator", "operator", "provider", "reader", "nobody", None)
                ),
            )
            @BOUNDED
            def probe(case: Case[Any], there: bool, token: str | None) -> None:
                if there and case.path_parameters:
                    case.path_parameters = parameters_of(case.path, ids)
                request = prepared(api, case, token)
                answer = runner.run(answered(business.anonymous, request))
                assert answer.status_code < 500 or answer.status_code == NOT_OFFERED, request.url
                case.validate_response(answer, checks=CHECKS)
                assert not undescribed_headers(document, case, answer)

            probe()
        runner.run(business.store.close())


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.id)
def test_a_description_is_valid_openapi_and_always_the_same(api: Api) -> None:
    assert openapi_document(api, ENDPOINT) == openapi_document(load_again(api), ENDPOINT)
    validate(described(api))


def load_again(api: Api) -> Api:
    """The same API, read anew."""
    name = f"{api.id.lower()}.toml"
    return read_model(files("hansa.business.models").joinpath(name).read_text(encoding="utf-8"), name)


def test_every_path_and_method_of_the_official_documents_is_described(shared: Path) -> None:
    for api in APIS:
        (path,) = (shared / "tmf" / "oas-v4").glob(f"{api.id}-*.json")
        official = json.loads(path.read_text(encoding="utf-8"))
        theirs = {
            (re.sub(r"\{\w+\}$", "{id}", one), method)
            for one, item in official["paths"].items()
            for method in item
            if method in METHODS and not one.startswith("/listener/")
        }
        ours = {(one, method) for one, method, _ in operations(described(api))}
        assert theirs <= ours, (api.id, theirs - ours)
