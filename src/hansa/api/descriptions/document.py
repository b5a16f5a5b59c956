"""The OpenAPI document of what is no TM Forum API: `/league/v1/…`, health and figures.

Each operation is declared for its route (`OPERATIONS` here and of the node's own routes), and the schemas are
made of the records that the handlers answer with: their fields, and the docstrings of these. A test demands
an operation for each route, a text for each field, and answers that fit.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec
import msgspec.inspect

from hansa.api.descriptions.field_texts import FIELD_TEXTS
from hansa.api.events import EventDocument, PublishedEvent
from hansa.business.openapi.parts import (
    ERROR_SCHEMA,
    EVERYWHERE,
    HEADERS,
    Part,
    error_references,
    error_responses,
)
from hansa.core.http import JSON

TITLE: Final = "League"
ABOUT: Final = (
    "What members and clients of the league request of a marketplace: events and their proofs, entities, members, the "
    "ledger; and its health, figures and state. HEAD works wherever GET does."
)
REMOVED: Final = "The entity, or that version of it, was public here and is not any more."
REF: Final = "#/components/schemas/{name}"
Access = Literal["open", "member", "signed", "token", "writer", "operator"]
"""Who may call: everybody, also with more for a member that signs; a member that signs; a token that may
read; one that may write; an operator."""
_SECURITY: Final[Mapping[Access, list[Part]]] = {
    "open": [{}],
    "member": [{}, {"signature": []}],
    "signed": [{"signature": []}],
    "token": [{"bearer": []}],
    "writer": [{"bearer": []}],
    "operator": [{"bearer": []}],
}


_BODY_ERRORS: Final = (400, 413, 415)
"""Of every operation that takes a body: it is malformed, too large, or of another media type."""


class Link(msgspec.Struct, frozen=True):
    """What a value of a response can be used for (OpenAPI Link Object)."""

    operation: str
    """Identifier of the operation that takes it."""
    parameter: str
    value: str
    """Runtime expression: where the value is in the response."""
    text: str


class Answer(msgspec.Struct, frozen=True):
    """A response that is no error."""

    text: str
    types: tuple[Any, ...] = ()
    """Of its body, one of them; none for a body that is described by its media type alone."""
    media_types: tuple[str, ...] = (JSON,)
    headers: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()


class Operation(msgspec.Struct, frozen=True):
    """What one method of a path does."""

    id: str
    path: str
    summary: str
    text: str
    answers: Mapping[int, Answer]
    errors: tuple[int, ...] = ()
    method: Literal["get", "post", "delete"] = "get"
    access: Access = "open"
    parameters: tuple[str, ...] = ()
    """Of `PARAMETERS`."""
    body: Any = None
    """Type of the body of the request."""
    octets: str | None = None
    """Media type of a body that is no JSON."""
    tag: str = "league"


def _parameter(name: str, text: str, schema: Part, place: str = "query") -> Part:
    required = {"required": True} if place == "path" else {}
    return {"name": name, "in": place, "description": text, **required, "schema": schema}


_TEXT: Final[Part] = {"type": "string"}
_TRUTH: Final[Part] = {"type": "boolean"}
_NUMBER: Final[Part] = {"type": "integer", "minimum": 0}
_MOMENT: Final[Part] = {"type": "string", "format": "date-time"}
PARAMETERS: Final[Mapping[str, Part]] = {
    "after": _parameter("after", "Position on the ledger after which events are returned.", _NUMBER),
    "afterId": _parameter("after", "Identifier after which the list is continued.", _TEXT),
    "category": _parameter(
        "category", "Only events of entities in one of these categories, separated by commas.", _TEXT
    ),
    "compliance": _parameter(
        "compliance",
        "Only events of entities with one of these labels of compliance, separated by commas.",
        _TEXT,
    ),
    "entity": _parameter(
        "entity", "Only events of these entities, by identifier or ledger key, separated by commas.", _TEXT
    ),
    "eventEntityType": _parameter(
        "entityType",
        "Only events of entities of these types, as `ProductOffering`, separated by commas.",
        _TEXT,
    ),
    "from": _parameter(
        "from", "Only events of blocks at this time or later (RFC 3339, with its zone).", _MOMENT
    ),
    "absent": _parameter(
        "absent",
        "Whether the receipt shows what the ledger has of a ledger key, or that it has nothing.",
        _TRUTH,
    ),
    "afterVersion": _parameter("after", "Version after which the history begins.", _NUMBER),
    "fromHeight": _parameter(
        "from", "Height of a light block that the verifier knows; 0 for the genesis.", _NUMBER
    ),
    "latest": _parameter("latest", "Whether the receipt shows that there is no later version.", _TRUTH),
    "height": _parameter(
        "height", "Height of a block; without it, the newest.", {"type": "integer", "minimum": 1}
    ),
    "snapshotHeight": _parameter(
        "height", "Height of the snapshot.", {"type": "integer", "minimum": 1}, "path"
    ),
    "index": _parameter(
        "index", "Number of the chunk, from 0.", {"type": "integer", "minimum": 0, "maximum": 8192}, "path"
    ),
    "method": _parameter(
        "method",
        "Method of the engine's RPC.",
        {"enum": ["commit", "consensus_params", "status", "validators"]},
        "path",
    ),
    "digest": _parameter(
        "digest",
        "Address of a bundle: SHA-256 of its bytes, in hex.",
        {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "path",
    ),
    "number": _parameter(
        "number", "Number of the segment, from 0.", {"type": "integer", "minimum": 0}, "path"
    ),
    "page": _parameter("page", "Page of the validators, from 1.", {"type": "integer", "minimum": 1}),
    "per_page": _parameter(
        "per_page", "Validators on a page, 100 at most.", {"type": "integer", "minimum": 1}
    ),
    "hl": _parameter("hl", "Hashlink of the version that is wanted; another one is not returned.", _TEXT),
    "id": _parameter(
        "id", "Identifier of an entity, or its ledger key when it is of this marketplace.", _TEXT, "path"
    ),
    "issuer": _parameter("issuer", "Only events of these members, by DID, separated by commas.", _TEXT),
    "key": _parameter("key", "Ledger key of an entity: 64 hexadecimal digits.", _TEXT, "path"),
    "followedKey": _parameter("key", "Ledger keys of own entities, 50 at most, separated by commas.", _TEXT),
    "Last-Event-ID": _parameter(
        "Last-Event-ID",
        "Position of the last event that the client has; it goes before `after`.",
        _NUMBER,
        "header",
    ),
    "lifecycleStatus": _parameter(
        "lifecycleStatus", "Only events of entities in one of these states, separated by commas.", _TEXT
    ),
    "known": _parameter(
        "known",
        "Tags of sections whose records are not needed, one after another: of each, the first 12 hexadecimal digits of the "
        "SHA-256 of its name, a zero byte and its content.",
        {"type": "string", "pattern": "^([0-9a-f]{12})*$"},
    ),
    "limit": _parameter(
        "limit",
        "Greatest number of entries of the page; the operator bounds it.",
        {"type": "integer", "minimum": 1},
    ),
    "searchLimit": _parameter(
        "limit",
        "Greatest number of hits of the page; 0: the counts alone.",
        {"type": "integer", "minimum": 0},
    ),
    "headState": _parameter("state", "Only entities in these states, separated by commas.", _TEXT),
    "history": _parameter(
        "history",
        "Whether each member comes with the keys and endpoints that it has and had.",
        {"type": "boolean", "default": False},
    ),
    "name": _parameter("name", "Ledger key or identifier of an entity.", _TEXT, "path"),
    "offset": _parameter("offset", "How many entries are passed over.", _NUMBER),
    "afterRecord": _parameter("after", "Number of the record after which the log is continued.", _NUMBER),
    "write": _parameter("id", "Identifier of the write, at the end of the address of a 202.", _TEXT, "path"),
    "Write-Delegation": _parameter(
        "Write-Delegation",
        "Compact JWS by the member that forwards: for which caller, method, path and body, until when.",
        _TEXT,
        "header",
    ),
    "subscription": _parameter("id", "Identifier of the registration.", _TEXT, "path"),
    "subscriptionState": _parameter(
        "state",
        "Only registrations in this state.",
        {"type": "string", "enum": ["active", "failing", "paused"]},
    ),
    "origin": _parameter("origin", "Only entities of this member, by DID.", _TEXT),
    "position": _parameter(
        "position", "Position of an event on the ledger, from 1.", {"type": "integer", "minimum": 1}, "path"
    ),
    "proposalName": _parameter(
        "name", "Hash of a proposal, four signs or more of the beginning of it, or its id.", _TEXT, "path"
    ),
    "proposalState": _parameter(
        "state",
        "Whether open proposals are returned, or closed ones too.",
        {"enum": ["open", "all"], "default": "open"},
    ),
    "region": _parameter(
        "region", "Only events of entities for one of these regions, separated by commas.", _TEXT
    ),
    "size": _parameter(
        "size", "Number of events of the earlier ledger.", {"type": "integer", "minimum": 1}, "path"
    ),
    "state": _parameter(
        "state", "Which references are returned: only `unresolved` there is.", {"const": "unresolved"}
    )
    | {"required": True},
    "to": _parameter("to", "Only events of blocks before this time (RFC 3339, with its zone).", _MOMENT),
    "type": _parameter(
        "type", "Only events of these names, as `productOfferingCreateEvent`, separated by commas.", _TEXT
    ),
    "attributeId": _parameter("id", "SHA-256 of the body of an attribute, in hex.", _TEXT, "path"),
    "did": _parameter("did", "DID of an issuer.", _TEXT, "path"),
    "memberDid": _parameter("did", "DID of a member, present or former.", _TEXT, "path"),
    "If-None-Match": _parameter(
        "If-None-Match", "ETags that the client has: what is one of them is answered 304.", _TEXT, "header"
    ),
    "pageAfter": _parameter("page[after]", "Number of the page, from 1.", {"type": "integer", "minimum": 1}),
    "pageSize": _parameter(
        "page[size]",
        "Greatest number of entries of a page.",
        {"type": "integer", "minimum": 1, "maximum": 50},
    ),
    "entityType": _parameter("type", "Only entities of these types, separated by commas.", _TEXT),
    "explainedId": _parameter("id", "Identifier of the entity.", _TEXT) | {"required": True},
    "explainedAction": _parameter(
        "action",
        "What is to be done with the entity.",
        {"enum": ["read", "create", "change", "delete"], "default": "read"},
    ),
    "organization": _parameter(
        "organization", "Organisation of somebody else, as `VATES-12345678`; for operators.", _TEXT
    ),
    "power": _parameter(
        "power", "A power, as `DOME/ProductOffering/Create`; may be repeated; for operators.", _TEXT
    ),
    "role": _parameter("role", "A role of somebody else's token; may be repeated; for operators.", _TEXT),
    "q": _parameter("q", "Words, “phrases” in quotes, -without, begin*; without it, everything.", _TEXT),
    "searchType": _parameter("type", "Only entities of this type; may be repeated.", _TEXT),
    "searchCategory": _parameter(
        "category", "Only entities in this category, or below it, by identifier; may be repeated.", _TEXT
    ),
    "provider": _parameter(
        "provider", "Only entities of this organisation, by identifier; may be repeated.", _TEXT
    ),
    "searchOrigin": _parameter(
        "origin", "Only entities of this marketplace, by DID, or `here`; may be repeated.", _TEXT
    ),
    "price_model": _parameter(
        "price_model", "Only offerings with a price of this kind, as `recurring`; may be repeated.", _TEXT
    ),
    "price": _parameter(
        "price", "Only offerings whose lowest price is in this range, as `10-100`; may be repeated.", _TEXT
    ),
    "searchStatus": _parameter("status", "Only entities in this state; may be repeated.", _TEXT),
    "searchCompliance": _parameter(
        "compliance", "Only entities with this label of compliance; may be repeated.", _TEXT
    ),
    "searchRegion": _parameter("region", "Only entities for this region; may be repeated.", _TEXT),
    "price_from": _parameter(
        "price_from", "Only offerings whose lowest price is so much at least.", {"type": "number"}
    ),
    "price_to": _parameter(
        "price_to", "Only offerings whose lowest price is so much at most.", {"type": "number"}
    ),
    "searchSort": _parameter(
        "sort",
        "In which order hits are returned.",
        {"enum": ["relevance", "price", "newest"], "default": "relevance"},
    ),
    "typing": _parameter(
        "typing", "Whether the last word is the beginning of one.", {"type": "boolean", "default": False}
    ),
}
LEAGUE_HEADERS: Final[Mapping[str, Part]] = {
    "x-chain-member": {
        "description": "DID of the marketplace whose log it is.",
        "schema": {"type": "string"},
    },
    "x-chain-start": {
        "description": "Where the log begins: number and hash of the last record that was pruned, or 0 and zeros.",
        "schema": {"type": "string", "pattern": "^[0-9]+ [0-9a-f]{64}$"},
    },
    "x-last-record": {
        "description": "Number of the newest record.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "x-scanned-to": {
        "description": "Position up to which the ledger was searched for this page.",
        "schema": _NUMBER,
    },
    "x-accel-buffering": {
        "description": "Always `no`: it tells proxies to pass on each event at once.",
        "schema": {"type": "string", "const": "no"},
    },
    "Member-Answer": {
        "description": "Compact JWS by this member over status and digest of the answer, and the `Member-Token` of the "
        "request; on answers to members that sign.",
        "schema": _TEXT,
    },
    "x-last-position": {"description": "Position of the newest event on the ledger.", "schema": _NUMBER},
}


def league_document(operations: Iterable[Operation], endpoint: str, version: str) -> Part:
    """The OpenAPI 3.1 document of these operations.

    Args:
        operations: All there are.
        endpoint: Address of this marketplace, without a trailing slash.
        version: Of Hansa.
    """
    operations = tuple(operations)
    types = [one for operation in operations for answer in operation.answers.values() for one in answer.types]
    types += [operation.body for operation in operations if operation.body is not None]
    schemas, components = described_schemas(types)
    by_type = dict(zip(types, schemas, strict=True))
    failures = error_responses({"$ref": REF.format(name="Error")})
    failures["410"] = {**failures["404"], "description": REMOVED}
    paths: dict[str, Part] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": version, "description": ABOUT},
        "servers": [{"url": endpoint}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "securitySchemes": SECURITY_SCHEMES,
            "parameters": dict(PARAMETERS),
            "headers": {**HEADERS, **LEAGUE_HEADERS},
            "responses": dict(sorted(failures.items())),
            "schemas": {"Error": ERROR_SCHEMA, **components},
        },
    }


TAGS: Final = {
    "league": "Events, entities, members and the ledger, as every marketplace of the league serves them.",
    "operation": "Health, figures and state of this marketplace, for those who run it.",
    "description": "These descriptions themselves.",
}
SECURITY_SCHEMES: Final[Part] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of this marketplace, as `hansa token` makes it.",
    },
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "Member-Token",
        "description": "Compact JWS by a member of the league, bound to the request (docs/decisions/0004).",
    },
}


def _operation(operation: Operation, schemas: Mapping[Any, Part]) -> Part:
    answers = {
        str(status): {
            "description": answer.text,
            "headers": {
                name: {"$ref": f"#/components/headers/{name}"} for name in (*answer.headers, *EVERYWHERE)
            },
            "content": {media: {"schema": _either(answer.types, schemas)} for media in answer.media_types},
            **({"links": _links(answer.links)} if answer.links else {}),
        }
        for status, answer in operation.answers.items()
    }
    media, body = (JSON, schemas[operation.body]) if operation.body is not None else (operation.octets, None)
    if operation.octets is not None:
        body = {"type": "string", "format": "binary"}
    errors = operation.errors if body is None else (*operation.errors, *_BODY_ERRORS)
    role = {"x-hansa-role": "operator"} if operation.access == "operator" else {}
    return {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.text,
        "tags": [operation.tag],
        "security": _SECURITY[operation.access],
        **role,
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in operation.parameters],
        **(
            {"requestBody": {"required": True, "content": {media: {"schema": body}}}}
            if body is not None
            else {}
        ),
        "responses": dict(sorted({**answers, **error_references(errors)}.items())),
    }


def _links(links: Iterable[Link]) -> Part:
    return {
        link.operation: {
            "operationId": link.operation,
            "description": link.text,
            "parameters": {link.parameter: link.value},
        }
        for link in links
    }


def _either(types: tuple[Any, ...], schemas: Mapping[Any, Part]) -> Part:
    if not types:
        return {}
    return schemas[types[0]] if len(types) == 1 else {"anyOf": [schemas[one] for one in types]}


def described_schemas(types: Iterable[Any]) -> tuple[tuple[Part, ...], dict[str, Part]]:
    """The schemas of types, and the components to which they refer, with a text for each property."""
    types = tuple(types)
    generated = msgspec.json.schema_components((*types, PublishedEvent), ref_template=REF)
    schemas, components = msgspec.json.decode(msgspec.json.encode(generated))  # defaults are tuples there
    for struct in _structs(msgspec.inspect.multi_type_info((*types, PublishedEvent))):
        component = components[struct.__name__]
        component["description"] = (inspect.getdoc(struct) or "").partition("\n\n")[0].replace("\n", " ")
        texts = field_texts(struct)
        for name, schema in component.get("properties", {}).items():
            special = FIELD_TEXTS.get(f"{struct.__name__}.{name}")
            text = special or texts.get(name) or FIELD_TEXTS.get(name)
            if text is not None:
                component["properties"][name] = {**schema, "description": text}
    if (document := components.get(EventDocument.__name__)) is not None:
        event = document["properties"]["event"]  # bytes there: the content that was signed, as it was signed
        document["properties"]["event"] = {**event, "$ref": REF.format(name=PublishedEvent.__name__)}
    return tuple(schemas[: len(types)]), dict(sorted(components.items()))


def field_texts(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The docstrings of the fields of a record: the strings below them; of inherited ones too."""
    texts: dict[str, str] = {}
    for one in reversed(struct.__mro__):
        if one in {object, msgspec.Struct} or not issubclass(one, msgspec.Struct):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        assert isinstance(definition, ast.ClassDef), "the source of a class defines it"
        for field, below in zip(definition.body, definition.body[1:], strict=False):
            is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
                assert isinstance(below, ast.Expr)
                assert isinstance(below.value, ast.Constant)
                texts[field.target.id] = inspect.cleandoc(str(below.value.value)).replace("\n", " ")
    return texts


def _structs(infos: Iterable[msgspec.inspect.Type]) -> Iterator[type[msgspec.Struct]]:
    """All records within types, each once."""
    seen: set[type[msgspec.Struct]] = set()
    waiting = list(infos)
    while waiting:
        info = waiting.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls not in seen:
                seen.add(info.cls)
                yield info.cls
                waiting += [field.type for field in info.fields]
        elif isinstance(info, msgspec.inspect.UnionType):
            waiting += info.types
        elif isinstance(info, msgspec.inspect.CollectionType):
            waiting.append(info.item_type)
        elif isinstance(info, msgspec.inspect.TupleType):
            waiting += info.item_types
        elif isinstance(info, msgspec.inspect.DictType):
            waiting.append(info.value_type)
