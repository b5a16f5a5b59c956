"""Operations as the TM Forum APIs describe them, entities for them, and requests as schemathesis has them."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case, SerializationContext
from schemathesis.core.transport import Response as Answered

from hansa.business.models import Api, load
from hansa.business.openapi import openapi_document
from tests.support.asgi import AsgiClient, Response
from tests.support.business import ENDPOINT, Business

EXAMPLES: Final = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "3"))
"""Requests for each operation."""
METHODS: Final = ("get", "post", "patch", "put", "delete")
APIS: Final = load().apis
BOUNDED: Final = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


UNLISTED_HEADERS: Final = frozenset({"content-type", "content-length", "content-encoding", "date"})
"""Headers that a description does not list: they belong to every response of HTTP."""


@schemathesis.serializer("application/x-ndjson", "application/zlib")
def bytes_of(_: SerializationContext, value: Any) -> bytes:
    """A body of JSON lines, or of what should be a zlib stream."""
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def described(api: Api) -> dict[str, Any]:
    """The document of an API."""
    found: dict[str, Any] = json.loads(document_of(api))
    return found


@cache
def document_of(api: Api) -> bytes:
    """The document of an API, made once: what tests change in it is their own."""
    return openapi_document(api, ENDPOINT)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def undescribed_headers(document: dict[str, Any], case: Case[Any], response: Answered) -> set[str]:
    """The headers of a response that the description of its operation does not have."""
    operation = document["paths"][case.operation.path][case.operation.method]
    described = operation["responses"].get(str(response.status_code), {})
    if "$ref" in described:
        described = document["components"]["responses"][described["$ref"].rpartition("/")[2]]
    known = {name.lower() for name in described.get("headers", {})} | UNLISTED_HEADERS
    return {name.lower() for name in response.headers} - known


async def seeded(business: Business, api: Api, document: dict[str, Any]) -> dict[str, str]:
    """An identifier for each path of a collection, of an entity created from the document's own example."""
    ids: dict[str, str] = {}
    base = api.base_path.rstrip("/")
    for path, method, operation in sorted(operations(document), key=lambda one: one[0].count("/")):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if method == "post" and "example" in content:
            place = filled(path, ids)
            answer = await business.operator.post(base + place, content["example"])
            assert answer.status in {200, 201, 202}, (path, answer.status, answer.body)
            ids[path] = answer.json()["id"]
    return ids


def filled(path: str, ids: dict[str, str]) -> str:
    """A path with the identifiers of what was created.

    Of an item that of its collection, of a parent that of its.
    """
    for found in re.finditer(r"\{(\w+)\}", path):
        collection = path[: found.start()].rstrip("/")
        path = path.replace(found[0], ids.get(collection, "nothing"), 1)
    return path


def parameters_of(path: str, ids: dict[str, str]) -> dict[str, str]:
    """The parameters in a path, by name, for the entities that were created."""
    return {
        found[1]: ids.get(path[: found.start()].rstrip("/").replace("{" + found[1] + "}", ""), "nothing")
        for found in re.finditer(r"\{(\w+)\}", path)
    }


def prepared(api: Api, case: Case[Any], token: str | None) -> requests.PreparedRequest:
    """The request as it goes over the wire."""
    kwargs = case.as_transport_kwargs(base_url=ENDPOINT + api.base_path.rstrip("/"))
    request = requests.Request(
        **{
            key: value
            for key, value in kwargs.items()
            if key in {"method", "url", "headers", "params", "data", "json"}
        }
    ).prepare()
    if token:
        request.headers["Authorization"] = f"Bearer {token}"  # in place of one that was drawn
    return request


async def answered(client: AsgiClient, request: requests.PreparedRequest) -> Answered:
    """The answer of an application, as schemathesis looks at it."""
    raw = request.body
    body = raw.encode() if isinstance(raw, str) else raw
    assert body is None or isinstance(body, bytes)
    return as_answered(
        await client.request(
            request.method or "", str(request.url), body=body, headers=wire_headers(request)
        ),
        request,
    )


def wire_headers(request: requests.PreparedRequest) -> dict[str, str]:
    """The headers of a request, as text."""
    return {
        name: value if isinstance(value, str) else value.decode("latin-1")
        for name, value in request.headers.items()
    }


def as_answered(found: Response, request: requests.PreparedRequest) -> Answered:
    """A response, as schemathesis looks at it."""
    is_packed = found.headers.get("content-encoding") == "gzip"
    return Answered(
        found.status,
        {name: [value] for name, value in found.headers.items()},
        gzip.decompress(found.body) if is_packed else found.body,
        request,
        0.001,
        verify=False,
    )
