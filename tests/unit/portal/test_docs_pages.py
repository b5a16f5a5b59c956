from __future__ import annotations

import base64
import hashlib
from typing import Any, Final

from hansa.portal.docs import DOCS, ApiEntry, ErrorEntry, api_page, errors_page, index_page
from tests.unit.portal.test_front_page import EVIL, Tags

REF: Final = "#/components/schemas/Thing"


def document(text: str = "Things") -> dict[str, Any]:
    """A description with one collection."""
    return {
        "info": {"title": text, "version": "4.0", "description": text},
        "servers": [{"url": "https://market.example/tmf-api/thing/v4"}],
        "tags": [{"name": "thing"}],
        "paths": {
            "/thing/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "patch": {
                    "operationId": "patchThing",
                    "summary": text,
                    "tags": ["thing"],
                    "parameters": [{"$ref": "#/components/parameters/fields"}],
                    "requestBody": {"content": {"application/merge-patch+json": {"schema": {"$ref": REF}}}},
                    "responses": {
                        "200": {
                            "description": text,
                            "content": {"application/json": {"schema": {"$ref": REF}}},
                        },
                        "404": {"$ref": "#/components/responses/404"},
                    },
                },
            }
        },
        "components": {
            "parameters": {
                "fields": {"name": "fields", "in": "query", "description": text, "schema": {"type": "string"}}
            },
            "responses": {"404": {"description": "There is none."}},
            "schemas": {
                "Thing": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string", "description": text},
                        "part": {"type": "array", "items": {"$ref": REF}},
                        "state": {"anyOf": [{"type": "string", "enum": ["on", text]}, {"type": "null"}]},
                        "free": {},
                    },
                }
            },
        },
    }


def parsed(html: bytes) -> Tags:
    tags = Tags()
    tags.feed(html.decode())
    return tags


def test_a_page_of_an_api_shows_its_operations_types_and_a_form() -> None:
    html = api_page("lubeck", document()).decode()
    found = parsed(html.encode())
    for text in ("PATCH", "/thing/{id}", "fields", "list of", "There is none.", "required"):
        assert text in found.text
    assert 'data-path="/tmf-api/thing/v4/thing/{id}"' in html
    assert 'data-method="PATCH"' in html
    assert {"#thing", "#type-Thing", "#status-404", "/docs"} <= set(found.links)


def test_what_a_description_says_is_shown_as_text() -> None:
    html = api_page("lubeck", document(EVIL))
    assert EVIL in parsed(html).text
    assert html.count(b"<script>") == 1


def test_the_list_leads_to_every_api_and_its_description() -> None:
    entry = ApiEntry("TMF999", EVIL, "4.0", "/tmf-api/thing/v4/", ("thing",))
    found = parsed(index_page(EVIL, [entry]))
    assert {"/docs/TMF999", "/tmf-api/thing/v4/openapi.json", "/docs/errors"} <= set(found.links)
    assert EVIL in found.text


def test_every_code_has_a_place_to_refer_to() -> None:
    html = errors_page("lubeck", [ErrorEntry("not-found", 404, "There is no such entity")]).decode()
    assert 'id="not-found"' in html
    assert "404" in html


def test_the_policy_allows_the_page_its_own_style_and_script_and_requests_to_this_place() -> None:
    html = api_page("lubeck", document()).decode()
    policy = DOCS.headers()["Content-Security-Policy"]
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        text = html.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert "connect-src 'self'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert " style=" not in html
