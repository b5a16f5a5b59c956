"""The operators' pages about the marketplace: in all languages, and with hostile texts."""

from __future__ import annotations

import re

import pytest

from hansa.node.http.application import rest_application
from hansa.node.parts.pages.operators import PLACES
from hansa.portal import Branding, Frame
from hansa.portal.frame.languages import NAMES
from tests.support.asgi import AsgiClient
from tests.support.hostile_entities import HOSTILE
from tests.support.operating_site import operating_routes
from tests.support.people import OPERATOR, PEOPLE, as_person

SCREENS = (
    "organizations",
    "organizations/VATES-12345678",
    "organizations/excluded",
    "organizations/credentials",
    "policies",
    "policies/why?id=x",
    "policies/why?id=absent",
    "policies/decisions",
    "audit",
    "entities?type=Category",
    "entities?q=absent",
    "entities/x",
    "subscriptions",
    "subscriptions/1",
    "jobs",
    "storage",
    "health",
    "settings",
)
QUESTIONS = (
    "organizations/VATES-12345678/approve",
    "organizations/VATES-12345678/remove",
    "organizations/excluded/add?kind=subject&name=x",
    "organizations/excluded/end?kind=subject&name=x",
    "organizations/credentials/urn:x/revoke",
    "organizations/credentials/urn:x/suspend",
    "organizations/credentials/urn:x/resume",
    "organizations/credentials/offers/1/withdraw",
    "subscriptions/1/resend",
    "subscriptions/1/resume",
    "subscriptions/1/remove",
)
LEAD = re.compile(r'<p class="lead">\s*(.*?)\s*</p>', re.DOTALL)
BUTTON = re.compile(r'<p class="actions"><button type="submit">(.*?)</button>')


@pytest.fixture(scope="module")
def client() -> AsgiClient:
    frame = Frame(Branding("Lübeck Market"), people=PEOPLE)
    application = rest_application(operating_routes(frame, PEOPLE, PLACES))
    return AsgiClient(application).with_headers(accept="text/html", **as_person(OPERATOR))


async def shown(client: AsgiClient, path: str, language: str) -> str:
    answer = await client.get(f"/operator/{path}", headers={"accept-language": language})
    assert answer.status == 200, (path, answer.body[:200])
    assert answer.headers["content-language"] == language
    return answer.body.decode()


@pytest.mark.parametrize("language", NAMES)
async def test_a_page_is_in_every_language_and_takes_no_markup(client: AsgiClient, language: str) -> None:
    for path in (*SCREENS, *QUESTIONS):
        page = await shown(client, path, language)
        assert HOSTILE[0] not in page, path
        assert "%(" not in page, path


@pytest.mark.parametrize("path", QUESTIONS)
async def test_a_question_says_what_will_be_done_and_has_one_button_for_it(
    client: AsgiClient, path: str
) -> None:
    page = await shown(client, path, "en")
    assert len("".join(LEAD.findall(page))) > 20
    assert len(BUTTON.findall(page)[0]) > 3


async def test_every_page_names_its_neighbours(client: AsgiClient) -> None:
    page = await shown(client, "settings", "en")
    linked = re.findall(r'<a href="(/operator[^"]*)"', page)
    assert set(PLACES) <= set(linked)


@pytest.mark.parametrize("path", SCREENS)
async def test_a_page_answers_programs_with_what_it_shows(client: AsgiClient, path: str) -> None:
    answer = await client.get(f"/operator/{path}", headers={"accept": "application/json"})
    assert answer.json()["places"] == list(PLACES)
