"""Components that operations share: the error body, headers, parameters and error responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hansa.business.query.paging import OFFSET_MAX
from hansa.core.http import JSON

Part = dict[str, Any]

ERROR_SCHEMA: Final[Part] = {
    "type": "object",
    "description": "An error, for programs (code) and for people (message).",
    "required": ["code", "reason"],
    "properties": {
        "code": {"type": "string", "description": "One of the codes of this product, as `invalid`."},
        "reason": {"type": "string", "description": "The code in a sentence."},
        "message": {
            "type": "string",
            "description": "What is wrong in this request, and what to do about it.",
        },
        "status": {"type": "string", "description": "The HTTP status."},
        "referenceError": {"type": "string", "format": "uri-reference", "description": "Explains the code."},
        "@type": {"type": "string"},
        "@baseType": {"type": "string"},
        "@schemaLocation": {"type": "string", "format": "uri-reference"},
    },
}

HEADERS: Final[Mapping[str, Part]] = {
    "X-Total-Count": {
        "description": "How many entities match, on all pages.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "X-Result-Count": {
        "description": "How many entities this response holds.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "Accept-Ranges": {
        "description": "The unit of Range: items.",
        "schema": {"type": "string", "const": "items"},
    },
    "Content-Range": {
        "description": "Which part of the list this is, as `items 1-10/50`.",
        "schema": {"type": "string", "pattern": r"^items (\*|\d+-\d+)/\d+$"},
    },
    "Link": {
        "description": "Addresses of this and other pages (RFC 8288): self, first, prev, next, last.",
        "schema": {"type": "string"},
    },
    "Hansa-Unindexed": {
        "description": "Filters of this request without an index; the operator can add one.",
        "schema": {"type": "string"},
    },
    "Hansa-Unresolved": {
        "description": "References in the entity to entities that are not, or not yet, in this marketplace.",
        "schema": {"type": "string"},
    },
    "Hansa-Publication": {
        "description": "Whether everybody sees the entity: public, pending, private or refused, with the reason.",
        "schema": {"type": "string", "pattern": "^(public|pending|(private|refused); reason=[a-z-]+)$"},
    },
    "Hansa-Words": {
        "description": "Words that the state machine does not know, and those that it does.",
        "schema": {"type": "string"},
    },
    "Hansa-Missing": {
        "description": "Attributes that the document requires and the entity does without.",
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "Identifies this version of the entity. Absent with `fields`, `expand` or `depth`.",
        "schema": {"type": "string", "pattern": '^"[^"]+"$'},
    },
    "Last-Modified": {"description": "When the entity was last written.", "schema": {"type": "string"}},
    "Location": {
        "description": "Address of the entity.",
        "required": True,
        "schema": {"type": "string", "format": "uri"},
    },
    "Retry-After": {
        "description": "Seconds after which the request may be sent again.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}},
    "Accept": {"description": "Media types of a POST or PUT.", "schema": {"type": "string"}},
    "Accept-Encoding": {"description": "Codings of a body.", "schema": {"type": "string"}},
    "Accept-Patch": {
        "description": "Media types of a PATCH (RFC 5789).",
        "schema": {"type": "string"},
    },
    "Preference-Applied": {
        "description": "The preference that was applied (RFC 7240).",
        "schema": {"type": "string"},
    },
}

ERRORS: Final[Mapping[int, tuple[str, tuple[str, ...]]]] = {
    400: (
        "The request is malformed or breaks a rule of the type; the message names path, rule and value.",
        (),
    ),
    401: ("A valid token is needed.", ("WWW-Authenticate",)),
    403: ("The token does not grant this.", ()),
    404: ("No such entity exists, or this caller may not see it.", ()),
    405: ("The path does not support this method.", ()),
    406: ("Responses are JSON, which the request does not accept.", ()),
    409: ("The request conflicts with the current state, as an impossible change of status.", ()),
    412: ("The entity is not in the version that the request expects.", ()),
    413: ("The body is too large.", ()),
    414: ("The query is too long.", ()),
    415: (
        "The media type of the body is not supported, or it is compressed with something else than gzip.",
        ("Accept", "Accept-Encoding", "Accept-Patch"),
    ),
    416: ("The list ends before the range begins.", ("Content-Range",)),
    429: ("Too many requests; try again later.", ("Retry-After",)),
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
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`respond-async` requests a response before the work is done (RFC 7240).",
        "schema": {"type": "string"},
    },
}

ACCEPTED: Final[Part] = {
    "description": "The request is recorded; Link leads to its monitor, which reports the outcome.",
    "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in ("Link", "Preference-Applied")},
}

JSON_PATCH_SCHEMA: Final[Part] = {
    "type": "array",
    "description": "Operations in order, all of them or none.",
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"type": "string", "enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": {"type": "string"},
            "from": {"type": "string"},
            "value": {},
        },
    },
}


def header_reference(name: str) -> Part:
    """A reference to a component header."""
    return {"$ref": f"#/components/headers/{name}"}


def parameter_reference(name: str) -> Part:
    """A reference to a component parameter."""
    return {"$ref": f"#/components/parameters/{name}"}


def error_responses(error: Part) -> dict[str, Part]:
    """Component responses for all statuses that report an error; `error` is the schema of their body."""
    return {
        str(status): {
            "description": text,
            **({"headers": {name: header_reference(name) for name in headers}} if headers else {}),
            "content": {JSON: {"schema": error}},
        }
        for status, (text, headers) in ERRORS.items()
    }


def error_references(statuses: tuple[int, ...]) -> dict[str, Part]:
    """References to these component responses."""
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}


def path_parameter(name: str, text: str) -> Part:
    """A parameter in the path."""
    return {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"}}
