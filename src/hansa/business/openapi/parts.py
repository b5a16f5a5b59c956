"""Components that operations share: the error body, headers, parameters and error responses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from hansa.business.query.paging import OFFSET_MAX
from hansa.core.http import JSON

Part = dict[str, Any]

ERROR_SCHEMA: Final[Part] = {
    "type": "object",
    "description": "An error, for programs (code) and for people (message).",
    "required": ["code", "reason"],
    "properties": {
        "code": {
            "type": "string",
            "description": "One of the codes of this product, for programs; `/docs/errors` explains each.",
            "examples": ["invalid"],
        },
        "reason": {"type": "string", "description": "What the code means, in a sentence."},
        "message": {
            "type": "string",
            "description": "What is wrong in this request, and what to do about it.",
        },
        "status": {
            "type": "string",
            "description": "The HTTP status, as text (TMF630 has it so).",
            "examples": ["400"],
        },
        "referenceError": {
            "type": "string",
            "format": "uri-reference",
            "description": "Address of the page that explains the code.",
            "examples": ["/docs/errors#invalid"],
        },
        "@type": {"type": "string", "description": "Class of the error, of the standard or an extension."},
        "@baseType": {"type": "string", "description": "Class from which that one was derived."},
        "@schemaLocation": {
            "type": "string",
            "format": "uri-reference",
            "description": "Address of the JSON schema of that class.",
        },
    },
}

HEADERS: Final[Mapping[str, Part]] = {
    "X-Total-Count": {
        "description": "How many entities match, on all pages.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0, "examples": [168]},
    },
    "X-Result-Count": {
        "description": "How many entities this response holds.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0, "examples": [20]},
    },
    "Accept-Ranges": {
        "description": "The unit in which `Range` selects part of a list: always `items`.",
        "schema": {"type": "string", "const": "items"},
    },
    "Content-Range": {
        "description": "Which part of the list this is and how long the list is, counted from 1.",
        "schema": {"type": "string", "pattern": r"^items (\*|\d+-\d+)/\d+$", "examples": ["items 21-40/168"]},
    },
    "Link": {
        "description": "Addresses of this page and of others (RFC 8288): `self`, `first`, `prev`, `next`, `last`. Of an "
        "asynchronous write it leads to the monitor.",
        "schema": {"type": "string", "examples": ['</tmf-api/party/v4/organization?offset=20>; rel="next"']},
    },
    "Hansa-Unindexed": {
        "description": "Attributes of the query without an index, for which every entity was read. The operator can add "
        "one with `indexed_attributes`.",
        "schema": {"type": "string", "examples": ["version"]},
    },
    "Hansa-Unresolved": {
        "description": "References in the entity to entities that are not, or not yet, in this marketplace, by path.",
        "schema": {"type": "string", "examples": ["category[0].id=c7"]},
    },
    "Hansa-Publication": {
        "description": "Whether everybody sees the entity: `public`, `pending` until the league knows it, `here` where "
        "its provider, or a condition of the operator, shows it at this marketplace alone, or `private` or `refused` with "
        "the reason.",
        "schema": {
            "type": "string",
            "pattern": "^(public|pending|(here|private|refused); reason=[A-Za-z0-9#.%_~-]+)$",
            "examples": ["private; reason=lifecycle-status"],
        },
    },
    "Hansa-Closure": {
        "description": "Of a replica: `waiting` while something that it needs to be usable, as an offering its "
        "specification, is not in this marketplace. Absent otherwise.",
        "schema": {"type": "string", "enum": ["waiting"]},
    },
    "Hansa-Origin-Status": {
        "description": "Of a replica whose origin is a member of the league no more: whether it left, or was removed. Nobody "
        "answers for it, and it does not change. Absent otherwise.",
        "schema": {"type": "string", "enum": ["left", "removed"]},
    },
    "Hansa-Words": {
        "description": "States in the body that the state machine does not know, each with the nearest known one.",
        "schema": {"type": "string", "examples": ["lifecycleStatus=Lauched; known=Launched"]},
    },
    "Hansa-Position": {
        "description": "Of a write that was forwarded to the origin of a replica: position on the ledger of the event that "
        "announces it, for `min-position`.",
        "schema": {"type": "integer", "minimum": 1, "examples": [4711]},
    },
    "Hansa-Missing": {
        "description": "Attributes that the standard requires and the entity was accepted without, by path.",
        "schema": {"type": "string", "examples": ["productOfferingPrice[0].priceType"]},
    },
    "ETag": {
        "description": "Version of the entity, for `If-Match` and `If-None-Match` (RFC 9110). Absent with `fields`, "
        "`expand` and `depth`; weak (`W/`) where the response is compressed.",
        "schema": {
            "type": "string",
            "pattern": '^(W/)?"[^"]+"$',
            "examples": ['"3f786850e387550fdab836ed7e6dc881"'],
        },
    },
    "Last-Modified": {
        "description": "When the entity was last written, to the second (RFC 9110).",
        "schema": {"type": "string", "examples": ["Sat, 31 Jan 2026 12:00:00 GMT"]},
    },
    "Location": {
        "description": "Address of the entity that was created.",
        "required": True,
        "schema": {"type": "string", "format": "uri"},
    },
    "Retry-After": {
        "description": "Seconds after which the request may be sent again; with 429, and with 503.",
        "schema": {"type": "integer", "minimum": 1, "examples": [2]},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate, and what is wrong with the token (RFC 6750).",
        "schema": {"type": "string", "examples": ["Bearer"]},
    },
    "Accept": {
        "description": "Media types that a POST or PUT may have.",
        "schema": {"type": "string", "examples": ["application/json"]},
    },
    "Accept-Encoding": {
        "description": "Codings that a body may have.",
        "schema": {"type": "string", "examples": ["gzip"]},
    },
    "Accept-Patch": {
        "description": "Media types that a PATCH may have (RFC 5789).",
        "schema": {"type": "string", "examples": ["application/merge-patch+json"]},
    },
    "Allow": {
        "description": "Methods that the path has (RFC 9110).",
        "schema": {"type": "string", "examples": ["GET, HEAD, OPTIONS"]},
    },
    "Preference-Applied": {
        "description": "The preference of the request that was applied (RFC 7240).",
        "schema": {"type": "string", "examples": ["respond-async"]},
    },
    "Cache-Control": {
        "description": "Who may store the response: nobody what a token opened (`private, no-store`), or what changes all "
        "the time (`no-store`); what has an age (`max-age`, in seconds) everybody until then; everything else is "
        "revalidated before each use (`no-cache`).",
        "schema": {
            "type": "string",
            "pattern": "^(no-cache|no-store|private, no-store|(public, )?max-age=[0-9]+(, immutable)?)$",
            "examples": ["no-cache"],
        },
    },
    "Vary": {
        "description": "Headers of the request on which the response depends (RFC 9110).",
        "schema": {"type": "string", "examples": ["Authorization"]},
    },
    "X-Request-Id": {
        "description": "Identifier of the request, as the log has it: the client's own when it sent one, and of every "
        "error.",
        "schema": {"type": "string", "examples": ["b2f7c0a91d3e4f5a6b7c8d9e"]},
    },
    "X-RateLimit-Limit": {
        "description": "What a caller may cost at once, in milliseconds of this marketplace's work; with every response "
        "while something of it is used.",
        "schema": {"type": "integer", "minimum": 0, "examples": [20000]},
    },
    "X-RateLimit-Remaining": {
        "description": "What is left of that for this caller, in milliseconds.",
        "schema": {"type": "integer", "minimum": 0, "examples": [0]},
    },
    "X-RateLimit-Reset": {
        "description": "Seconds after which all of it is left again.",
        "schema": {"type": "integer", "minimum": 0, "examples": [12]},
    },
    "Access-Control-Allow-Origin": {
        "description": "Origins whose pages may read the response (CORS): all of what is public, otherwise those that the "
        "operator allows.",
        "schema": {"type": "string", "examples": ["*"]},
    },
    "Access-Control-Expose-Headers": {
        "description": "Headers of the response that such pages may read.",
        "schema": {"type": "string", "examples": ["Link, X-Total-Count, X-Result-Count"]},
    },
}

BUDGET: Final = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
"""What is left of the caller's budget: on any response, until the budget is full again."""
EVERYWHERE: Final = (
    *(
        "Cache-Control",
        "Vary",
        "Access-Control-Allow-Origin",
        "Access-Control-Expose-Headers",
        "X-Request-Id",
    ),
    *BUDGET,
)
"""Headers that any response can have, of errors too."""

ERRORS: Final[Mapping[int, tuple[str, tuple[str, ...]]]] = {
    400: (
        "The request is malformed or breaks a rule of the type; the message names path, rule and value.",
        (),
    ),
    401: ("A valid token is needed.", ("WWW-Authenticate",)),
    403: ("The token does not grant this.", ()),
    404: ("No such entity exists, or this caller may not see it.", ()),
    405: ("The path does not have this method.", ("Allow",)),
    406: ("Responses are JSON, which the request does not accept.", ()),
    409: ("The request conflicts with the current state, as an impossible change of status.", ()),
    412: ("The entity is not in the version that the request expects.", ()),
    422: ("Another request was carried out with this `Idempotency-Key`.", ()),
    413: ("The body is too large.", ()),
    414: ("The query is too long.", ()),
    415: (
        "The media type of the body is not supported, or it is compressed with something else than gzip.",
        ("Accept", "Accept-Encoding", "Accept-Patch"),
    ),
    416: ("The list ends before the range begins.", ("Content-Range",)),
    429: (
        "Too many requests, or too costly ones; try again later.",
        ("Retry-After",),
    ),
    500: ("An internal error.", ()),
    501: ("The request uses a part of the query language that is not supported.", ()),
    503: (
        "Temporarily unavailable, as a search that takes too long without an index.",
        ("Retry-After",),
    ),
}
"""The meaning of an error status, and the headers that are sent with it."""

PARAMETERS: Final[Mapping[str, Part]] = {
    "fields": {
        "name": "fields",
        "in": "query",
        "description": "Attributes to return, separated by commas; dotted paths lead into objects and arrays. "
        "`id` and `href` are always returned; `none` returns nothing else.",
        "schema": {"type": "string"},
    },
    "offset": {
        "name": "offset",
        "in": "query",
        "description": "How many entities to skip.",
        "schema": {"type": "integer", "minimum": 0, "maximum": OFFSET_MAX, "default": 0},
    },
    "limit": {
        "name": "limit",
        "in": "query",
        "description": "How many entities to return at most.",
        "schema": {"type": "integer", "minimum": 0, "maximum": OFFSET_MAX},
    },
    "sort": {
        "name": "sort",
        "in": "query",
        "description": "Attributes to sort by, separated by commas; `-` before one sorts it in descending order.",
        "schema": {"type": "string"},
    },
    "filter": {
        "name": "filter",
        "in": "query",
        "description": "A JSONPath condition on the entities, as `$[?(@.name=='Basic')]`; the `$` may be left out.",
        "schema": {"type": "string"},
    },
    "expand": {
        "name": "expand",
        "in": "query",
        "description": "Paths of references to replace by the entities to which they refer, separated by commas.",
        "schema": {"type": "string"},
    },
    "depth": {
        "name": "depth",
        "in": "query",
        "description": "Levels to which all references are replaced.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Range": {
        "name": "Range",
        "in": "header",
        "description": "Part of the list, as `items=11-20`.",
        "schema": {"type": "string"},
    },
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "description": "Only while the entity is in this version.",
        "schema": {"type": "string"},
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "description": "Answer 304 while the entity is in this version.",
        "schema": {"type": "string"},
    },
    "If-Modified-Since": {
        "name": "If-Modified-Since",
        "in": "header",
        "description": "Answer 304 if the entity was not written after this time (RFC 9110).",
        "schema": {"type": "string"},
    },
    "If-Unmodified-Since": {
        "name": "If-Unmodified-Since",
        "in": "header",
        "description": "Only if the entity was not written after this time (RFC 9110).",
        "schema": {"type": "string"},
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A text that the client makes for each write: however often it arrives with it, it is carried out "
        "once.",
        "schema": {
            "type": "string",
            "pattern": "^[!#-~]{1,256}$",
            "examples": ["7d1f4a34-6f0b-4f52-9b65-0b7f2a2f0c11"],
        },
    },
    "min-position": {
        "name": "min-position",
        "in": "query",
        "description": "Position on the ledger: answered when its event has had its effect here, or 503 after a while.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`respond-async` requests a response before the work is done (RFC 7240), also while the origin of a replica is "
        "away.",
        "schema": {"type": "string"},
    },
}

JSON_PATCH_SCHEMA: Final[Part] = {
    "type": "array",
    "description": "Operations in order, all of them or none.",
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {
                "type": "string",
                "description": "What is done at the path.",
                "enum": ["add", "remove", "replace", "move", "copy", "test"],
            },
            "path": {
                "type": "string",
                "description": "Where it is done: a JSON Pointer (RFC 6901); in a patch with a query, a path with "
                "conditions (TMF630 Part 1).",
                "examples": ["/description"],
            },
            "from": {
                "type": "string",
                "description": "From where `move` and `copy` take the value: a JSON Pointer.",
                "examples": ["/name"],
            },
            "value": {"description": "The value that `add`, `replace` and `test` need."},
        },
    },
}


def header_reference(name: str) -> Part:
    """A reference to a component header."""
    return {"$ref": f"#/components/headers/{name}"}


def parameter_reference(name: str) -> Part:
    """A reference to a component parameter."""
    return {"$ref": f"#/components/parameters/{name}"}


def response(text: str, content: Mapping[str, Part] | None, headers: Iterable[str] = ()) -> Part:
    """A response that is no error.

    Args:
        text: What it means.
        content: Its body by media type; None when it has none.
        headers: What it can have beside those of any response.
    """
    names = dict.fromkeys((*headers, *EVERYWHERE))
    described: Part = {"description": text, "headers": {name: header_reference(name) for name in names}}
    return described if content is None else {**described, "content": dict(content)}


def json_response(text: str, schema: Part, headers: Iterable[str] = ()) -> Part:
    """A response with a body in JSON."""
    return response(text, {JSON: {"schema": schema}}, headers)


def error_responses(error: Part) -> dict[str, Part]:
    """Component responses for all statuses that report an error; `error` is the schema of their body."""
    return {str(status): json_response(text, error, headers) for status, (text, headers) in ERRORS.items()}


def error_references(statuses: tuple[int, ...]) -> dict[str, Part]:
    """References to these component responses."""
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(set(statuses))}


def path_parameter(name: str, text: str) -> Part:
    """A parameter in the path."""
    return {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"}}


ACCEPTED: Final[Part] = response(
    "The request is recorded; Link leads to its monitor, which reports the outcome.",
    None,
    ("Link", "Preference-Applied"),
)
