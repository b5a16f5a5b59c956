"""Favourites of whoever is logged in: kept for them alone, by forms of their session alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.support.asgi import AsgiClient, Response
from tests.support.people import CSRF, CUSTOMER, PEOPLE, PROVIDER, as_person
from tests.support.portal import Elements
from tests.support.site import CATEGORY, OFFERING, REPLICA, Site, open_site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    opened = await open_site(people=PEOPLE)
    yield opened
    await opened.business.store.close()


@pytest.fixture
def client(site: Site) -> AsgiClient:
    return AsgiClient(site.application())


async def sent(
    client: AsgiClient, path: str, *picked: str, person: str | None = CUSTOMER, csrf: str = CSRF, to: str = ""
) -> Response:
    fields = [("csrf", csrf), ("return_to", to), *(("pick", one) for one in picked)]
    who = as_person(person) if person else {}
    return await client.post_form(path, fields, {"accept": "text/html", **who})


async def shown(client: AsgiClient, path: str, person: str) -> Elements:
    answer = await client.get(path, headers={"accept": "text/html", **as_person(person)})
    assert answer.status == 200, answer.body
    return Elements(answer.body)


async def test_favourites_are_kept_for_the_person_and_leave_with_them(client: AsgiClient) -> None:
    path = f"/offerings/{quote(OFFERING, safe=':')}"
    answer = await sent(client, "/favourites", OFFERING, to=path)
    assert (answer.status, answer.headers["location"]) == (303, path)
    assert "No longer a favourite" in (await shown(client, path, CUSTOMER)).text
    assert "Mark as a favourite" in (await shown(client, path, PROVIDER)).text
    assert path in (await shown(client, "/favourites", CUSTOMER)).links
    assert "You have no favourites yet" in (await shown(client, "/favourites", PROVIDER)).text
    await sent(client, "/favourites/remove", OFFERING)
    assert "You have no favourites yet" in (await shown(client, "/favourites", CUSTOMER)).text


async def test_the_star_of_a_card_says_whether_it_is_a_favourite_and_strangers_have_none(
    client: AsgiClient,
) -> None:
    await sent(client, "/favourites", OFFERING)
    for path in ("/search?q=machine&limit=100", "/", f"/categories/{quote(CATEGORY, safe=':')}"):
        page = await shown(client, path, CUSTOMER)
        stars = {
            attributes["value"]: (attributes["aria-pressed"], attributes["form"])
            for tag, attributes in page.elements
            if tag == "button" and attributes.get("class") == "star"
        }
        assert stars.pop(OFFERING, ("true", "unmarking")) == ("true", "unmarking")
        assert set(stars.values()) == {("false", "marking")}
    assert b"aria-pressed" not in (await client.get("/", headers={"accept": "text/html"})).body
    await sent(client, "/favourites/remove", OFFERING)


async def test_favourites_of_an_address_are_shown_with_the_others_and_can_be_kept(client: AsgiClient) -> None:
    await sent(client, "/favourites", OFFERING)
    page = await shown(client, f"/favourites?pick={quote(REPLICA)}", CUSTOMER)
    assert "One of these is in the address of this page alone" in page.text
    await sent(client, "/favourites", REPLICA, OFFERING)
    kept = await shown(client, "/favourites", CUSTOMER)
    assert {f"/offerings/{quote(one, safe=':')}" for one in (OFFERING, REPLICA)} <= set(kept.links)
    await sent(client, "/favourites/remove", REPLICA, OFFERING)


async def test_what_is_not_here_any_more_can_be_removed(client: AsgiClient) -> None:
    await sent(client, "/favourites", "gone")
    assert "Remove what is not here any more" in (await shown(client, "/favourites", CUSTOMER)).text
    await sent(client, "/favourites/remove", "gone")


async def test_a_person_has_so_many_favourites_at_most(client: AsgiClient) -> None:
    await sent(client, "/favourites", *(f"o{number}" for number in range(50)), person=PROVIDER)
    answer = await sent(client, "/favourites", "one more", person=PROVIDER)
    assert answer.status == 400
    assert b"50 favourites at most" in answer.body


@pytest.mark.parametrize(
    ("picked", "person", "csrf", "status"),
    [
        ((OFFERING,), CUSTOMER, "of another", 403),
        ((OFFERING,), None, CSRF, 401),
        ((), CUSTOMER, CSRF, 400),
        (("x" * 501,), CUSTOMER, CSRF, 400),
        (tuple(f"o{number}" for number in range(51)), CUSTOMER, CSRF, 400),
    ],
)
async def test_a_form_that_does_not_hold_changes_nothing(
    client: AsgiClient, picked: tuple[str, ...], person: str | None, csrf: str, status: int
) -> None:
    for path in ("/favourites", "/favourites/remove"):
        assert (await sent(client, path, *picked, person=person, csrf=csrf)).status == status
    assert "You have no favourites yet" in (await shown(client, "/favourites", CUSTOMER)).text


async def test_a_form_leads_back_to_this_server_alone(client: AsgiClient) -> None:
    answer = await sent(client, "/favourites/remove", OFFERING, to="//evil.example/")
    assert answer.headers["location"] == "/favourites"


async def test_strangers_have_their_list_in_the_address(client: AsgiClient) -> None:
    answer = await client.get(f"/favourites?pick={quote(OFFERING)}", headers={"accept": "text/html"})
    assert b"The address of this page is the list" in answer.body
    assert b"csrf" not in answer.body


async def test_the_documentation_has_the_token_of_a_session_for_its_forms_and_no_cache(
    client: AsgiClient,
) -> None:
    page = await client.get("/docs/tmf620", headers={"accept": "text/html", **as_person(CUSTOMER)})
    assert f'data-csrf="{CSRF}"'.encode() in page.body
    assert page.headers["cache-control"] == "no-store"
    strange = await client.get("/docs/tmf620", headers={"accept": "text/html"})
    assert b"csrf" not in strange.body
