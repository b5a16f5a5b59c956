"""Pages that not everybody may see."""

from __future__ import annotations

import time

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hansa.core.access import Caller
from hansa.node.http.application import rest_application
from hansa.portal import Branding, Frame, NoticePage
from hansa.portal.frame.people import (
    FIELDS_MAX,
    FORM,
    FORM_MAX_BYTES,
    FormFields,
    Person,
    Role,
    Visit,
    page_for,
)
from tests.support.asgi import AsgiClient
from tests.support.loop_turns import is_short
from tests.support.people import CSRF, RecordedPeople, as_person

PEOPLE = RecordedPeople(
    {
        "provider": (Person("Ada", "VATES-1", "Ada & Co", True, False, CSRF), Caller("ada")),
        "operator": (Person("Otto", "", "", False, True, CSRF), Caller("otto")),
        "customer": (Person("Cleo", "VATES-2", "Cleo", False, False, CSRF), Caller("cleo")),
    }
)


async def page(visit: Visit) -> Response:
    return PlainTextResponse(f"{visit.caller.subject}: {','.join(visit.form.all('pick'))}")


def client() -> AsgiClient:
    routes = [Route(f"/{role.value}", page_for(PEOPLE, role, page), methods=["GET", "POST"]) for role in Role]
    return AsgiClient(rest_application(routes))


@pytest.mark.parametrize(
    ("person", "role", "status"),
    [
        *[("provider", "account", 200), ("provider", "provider", 200), ("provider", "operator", 403)],
        *[("operator", "account", 200), ("operator", "provider", 200), ("operator", "operator", 200)],
        *[("customer", "account", 200), ("customer", "provider", 403), ("customer", "operator", 403)],
    ],
)
async def test_a_page_is_for_those_who_have_its_role(person: str, role: str, status: int) -> None:
    response = await client().get(f"/{role}", headers=as_person(person))
    assert response.status == status


async def test_a_stranger_is_led_to_the_login_and_back() -> None:
    response = await client().get("/operator?kind=a%26b")
    assert response.status == 303
    assert response.headers["location"] == "/login?return_to=%2Foperator%3Fkind%3Da%2526b"


async def test_what_a_stranger_sends_is_refused_with_the_way_to_the_login() -> None:
    response = await client().post("/provider", body=b"pick=1", headers={"content-type": FORM})
    assert response.status == 401
    assert "/login" in response.json()["message"]


async def test_no_page_for_some_is_kept_by_a_browser() -> None:
    response = await client().get("/account", headers=as_person("customer"))
    assert "no-store" in response.headers["cache-control"]


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_no_page_is_in_a_cache_that_was_made_for_somebody_who_is_logged_in(accept: str) -> None:
    frame = Frame(Branding("lubeck"), people=PEOPLE)

    async def shown(request: Request) -> Response:
        return frame.negotiated(request, "notice.html", NoticePage("A title", ("A sentence.",), 200))

    of_frame = AsgiClient(rest_application([Route("/", shown)]), {"accept": accept})
    assert "cache-control" not in (await of_frame.get("/")).headers
    logged_in = await of_frame.get("/", headers=as_person("customer"))
    assert logged_in.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("csrf", ["", "of another"])
async def test_a_form_of_another_page_is_refused(csrf: str) -> None:
    fields = {"csrf": csrf, "pick": "1"}
    assert (await client().post_form("/provider", fields, as_person("provider"))).status == 403


async def test_a_field_can_come_several_times() -> None:
    fields = {"csrf": CSRF, "pick": ["1", "2"]}
    assert (await client().post_form("/provider", fields, as_person("provider"))).body == b"ada: 1,2"


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"csrf=a&csrf=b", FORM, 400),
        (b"csrf=%ff", FORM, 400),
        (b"\xff", FORM, 400),
        (b"a=1&" * 3000, FORM, 400),
        (b"a" * (FORM_MAX_BYTES + 1), FORM, 413),
        (b"{}", "application/json", 415),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused(body: bytes, media_type: str, status: int) -> None:
    headers = {**as_person("provider"), "content-type": media_type}
    assert (await client().post("/provider", body=body, headers=headers)).status == status


def test_a_form_is_read_in_a_short_time_however_many_fields_it_has() -> None:
    pairs = [(f"field.{number}", "x") for number in range(FIELDS_MAX)]
    began_s = time.thread_time()
    form = FormFields(pairs)
    assert [(name, text) for name in form.names() for text in form.all(name)] == pairs
    assert is_short(time.thread_time() - began_s, 0.02)
