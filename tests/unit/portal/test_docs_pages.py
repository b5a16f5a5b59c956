from __future__ import annotations

from typing import Any, Final

from hansa.portal.docs import ApiEntry, DocsPages, ErrorEntry
from hansa.portal.frame import Branding, Frame
from tests.support.portal import EVIL, Elements

PAGES: Final = DocsPages(Frame(Branding("lubeck")).plain_environment())
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


def parsed(html: str) -> Elements:
    return Elements(html.encode())


def test_a_page_of_an_api_shows_its_operations_types_and_a_form() -> None:
    html = PAGES.api(document()).content
    page = parsed(html)
    for text in ("PATCH", "/thing/{id}", "fields", "list of", "There is none.", "required"):
        assert text in page.text
    assert 'data-path="/tmf-api/thing/v4/thing/{id}"' in html
    assert 'data-method="PATCH"' in html
    assert {"#thing", "#type-Thing", "#status-404"} <= set(page.links)


def test_what_a_description_says_is_shown_as_text() -> None:
    page = parsed(PAGES.api(document(EVIL)).content)
    assert EVIL in page.text
    assert "script" not in {tag for tag, _ in page.elements}


def test_names_between_backticks_are_code() -> None:
    assert "set <code>limit</code> &lt; 3" in PAGES.api(document("set `limit` < 3")).content


def test_the_list_leads_to_every_api_and_its_description() -> None:
    entry = ApiEntry("TMF999", EVIL, "4.0", "/tmf-api/thing/v4/", ("thing",))
    page = parsed(PAGES.index(EVIL, [entry]).content)
    assert {"/docs/TMF999", "/tmf-api/thing/v4/openapi.json", "/docs/errors"} <= set(page.links)
    assert EVIL in page.text


def test_every_code_has_a_place_to_refer_to() -> None:
    html = PAGES.errors([ErrorEntry("not-found", 404, "There is no such entity")]).content
    assert 'id="not-found"' in html
    assert "404" in html
