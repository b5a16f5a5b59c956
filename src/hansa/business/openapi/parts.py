"""What many operations of a description share: the error body, headers, parameters and answers that report an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hansa.business.http.messages import JSON
from hansa.business.query.paging import OFFSET_MAX

Part = dict[str, Any]

ERROR_SCHEMA: Final[Part] = {
    "type": "object",
    "description": "What went wrong, for a program (code) and for a person (message).",
    "required": ["code", "reason"],
    "properties": {
        "code": {"type": "string", "description": "One of the codes of this product, as `invalid`."},
        "reason": {"type": "string", "description": "The code in a sentence."},
        "message": {"type": "string", "description": "What is wrong in this request, and what to do."},
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
        "description": "How many entities this answer holds.",
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
        "description": "Addresses of the pages around this one (RFC 8288): self, first, prev, next, last.",
        "schema": {"type": "string"},
    },
    "Hansa-Unindexed": {
        "description": "Filters of this request that had no index to use; the operator can add one.",
        "schema": {"type": "string"},
    },
    "Hansa-Unresolved": {
        "description": "References in the entity to something that is not here, or not yet.",
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "Names this version of the entity. Absent when `fields`, `expand` or `depth` shape the answer.",
        "schema": {"type": "string", "pattern": '^"[^"]+"$'},
    },
    "Last-Modified": {"description": "When the entity was last written.", "schema": {"type": "string"}},
    "Location": {
        "description": "Where the entity is.",
        "required": True,
        "schema": {"type": "string", "format": "uri"},
    },
    "Retry-After": {
        "description": "Seconds after which the request may be sent again.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}},
    "Accept-Patch": {
        "description": "Media types that a PATCH takes (RFC 5789).",
        "schema": {"type": "string"},
    },
    "Preference-Applied": {
        "description": "The preference that was followed (RFC 7240).",
        "schema": {"type": "string"},
    },
}

ERRORS: Final[Mapping[int, tuple[str, tuple[str, ...]]]] = {
    400: (
        "The request cannot be read, or breaks a rule of the type; the message names path, rule and value.",
        (),
    ),
    401: ("A valid token is needed.", ("WWW-Authenticate",)),
    403: ("The token gives no right to do this.", ()),
    404: ("There is no such entity, or not for this caller.", ()),
    405: ("The path has no such method.", ()),
    406: ("Answers are JSON, and the request takes none.", ()),
    409: ("The request conflicts with what is here, as an impossible change of state.", ()),
    412: ("The entity is not in the version that the request expects.", ()),
    413: ("The body is too large.", ()),
    414: ("The query is too long.", ()),
    415: ("The body is in a form that is not understood here.", ("Accept-Patch",)),
    416: ("The list ends before the range begins.", ("Content-Range",)),
    429: ("Too many requests are in work.", ("Retry-After",)),
    500: ("The marketplace failed.", ()),
    501: ("The request asks for a part of the language that is not offered.", ()),
    503: (
        "It does not work at the moment, as a search that takes too long without an index.",
        ("Retry-After",),
    ),
}
"""What an error status means, and the headers that come with it."""

PARAMETERS: Final[Mapping[str, Part]] = {
    "fields": {
        "name": "fields",
        "in": "query",
        "description": "Attributes to show, separated by commas; dotted paths go into objects and arrays. "
        "`id` and `href` are always shown; `none` shows nothing else.",
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
        "description": "How many entities to show at most.",
        "schema": {"type": "integer", "minimum": 0, "maximum": OFFSET_MAX},
    },
    "sort": {
        "name": "sort",
        "in": "query",
        "description": "Attributes to sort by, separated by commas; `-` before one sorts it downwards.",
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
        "description": "Paths of references to fill with what they refer to, separated by commas.",
        "schema": {"type": "string"},
    },
    "depth": {
        "name": "depth",
        "in": "query",
        "description": "In how many rounds all references are filled.",
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
        "description": "Do it only while the entity is in this version.",
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
        "description": "Answer 304 when the entity was not written after this time (RFC 9110).",
        "schema": {"type": "string"},
    },
    "If-Unmodified-Since": {
        "name": "If-Unmodified-Since",
        "in": "header",
        "description": "Do it only when the entity was not written after this time (RFC 9110).",
        "schema": {"type": "string"},
    },
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`respond-async` asks for an answer before the work is done (RFC 7240).",
        "schema": {"type": "string"},
    },
}

ACCEPTED: Final[Part] = {
    "description": "The request is recorded; Link leads to its monitor, which tells the outcome.",
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
