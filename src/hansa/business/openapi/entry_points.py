"""The paths of an API itself: its entry point, and its description."""

from __future__ import annotations

from typing import Any, Final

from hansa.business.openapi.parts import Part, error_references, json_response, parameter_reference, response

DOCUMENT_NAME: Final = "openapi.json"
_ERRORS: Final = (400, 406, 414, 429, 500, 503)
_LINK: Final[Part] = {
    "type": "object",
    "description": "Where something is served.",
    "required": ["href"],
    "properties": {
        "href": {
            "type": "string",
            "description": "Its address, or a template of addresses (RFC 6570).",
            "examples": ["https://example.com/tmf-api/party/v4/organization"],
        },
        "type": {
            "type": "string",
            "description": "Media type of what is there.",
            "examples": ["application/json"],
        },
        "templated": {"type": "boolean", "description": "True when the address is a template."},
    },
}
_ENTRY_POINT: Final[Part] = {
    "type": "object",
    "description": "What is served of an API, and where.",
    "required": ["id", "href", "name", "version", "_links"],
    "properties": {
        "id": {"type": "string", "description": "Number of the API at TM Forum.", "examples": ["TMF632"]},
        "href": {"type": "string", "format": "uri", "description": "Address of this entry point."},
        "name": {"type": "string", "description": "Title of the API.", "examples": ["Party"]},
        "version": {"type": "string", "description": "Version of the API's document.", "examples": ["4.0.0"]},
        "_links": {
            "type": "object",
            "description": "Addresses by the name of what is served there (HAL).",
            "additionalProperties": _LINK,
        },
    },
}


def entry_paths() -> dict[str, Part]:
    """Both paths; everybody may read them."""
    document: dict[str, Any] = {"type": "object", "description": "An OpenAPI 3.1 document."}
    return {
        "/": {
            "get": _operation(
                "retrieveEntryPoint",
                "Read what is served of this API",
                "Returns the addresses of its collections, of its hub and of this description.",
                "The addresses.",
                _ENTRY_POINT,
            )
        },
        f"/{DOCUMENT_NAME}": {
            "get": _operation(
                "retrieveDescription",
                "Read this description",
                "Returns this document. It is the same as long as the marketplace runs the same release.",
                "The document.",
                document,
            )
        },
    }


def _operation(name: str, summary: str, text: str, returned: str, schema: Part) -> Part:
    unchanged = response("The client has it in this state.", None, ("ETag",))
    return {
        "operationId": name,
        "summary": summary,
        "description": text,
        "tags": ["api"],
        "security": [{}],
        "parameters": [parameter_reference("If-None-Match")],
        "responses": {
            "200": json_response(returned, schema, ("ETag",)),
            "304": unchanged,
            **error_references(_ERRORS),
        },
    }
