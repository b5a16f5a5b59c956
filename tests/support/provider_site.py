"""The pages of providers in this process: people of two organisations, access policies, a store in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from hansa.core.access import Caller
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import Clock
from hansa.core.members import Member
from hansa.node.http.application import rest_application
from hansa.node.parts.pages.acts import StoredActs
from hansa.node.parts.pages.editing import editing_routes
from hansa.portal import Branding, Frame, error_page
from hansa.portal.catalogue.reading import CatalogueReads
from hansa.portal.frame.assets import ASSETS_PATH
from hansa.portal.frame.languages import Catalogues
from hansa.portal.frame.people import People, Person
from hansa.portal.providers.editing.importing.page_jobs import PageJobs
from hansa.store import EntityDraft
from tests.support.asgi import AsgiClient, Response
from tests.support.business import DID, Business, open_business
from tests.support.people import CSRF, RecordedPeople, as_person
from tests.support.rights import ACME, ALL_POWERS, BOLT, CALLERS, CITY, RightsBusiness, party
from tests.support.site import RecordedOrigins

LEAGUE: Final = (
    Member(DID, "lubeck", "https://lubeck.example", (), 1, agreement_key="x", country="DE"),
    Member("did:web:riga.example", "riga", "https://riga.example", (), 1, agreement_key="x", country="LV"),
    Member("did:web:bergen.example", "bergen", "https://bergen.example", (), 1, country="NO"),
)
"""This marketplace, one, and one for which nothing can be sealed."""
PROVIDERS: Final = frozenset({"provider"})
PEOPLE: Final[Mapping[str, tuple[Person, Caller]]] = {
    "acme": (Person("Ada", ACME, "Acme & Co", True, False, CSRF), CALLERS["acme"]),
    "colleague": (
        Person("Alan", ACME, "Acme & Co", True, False, CSRF),
        Caller("a2", PROVIDERS, organization=ACME, powers=ALL_POWERS),
    ),
    "updater": (
        Person("Ulla", ACME, "Acme & Co", True, False, CSRF),
        Caller("u", PROVIDERS, organization=ACME, powers=()),
    ),
    "bolt": (Person("Bo", BOLT, "Bolt", True, False, CSRF), CALLERS["bolt"]),
    "city": (Person("Cleo", CITY, "City", False, False, CSRF), CALLERS["city"]),
    "boss": (Person("Otto", "", "", False, True, CSRF), CALLERS["operator"]),
}
ACCEPT: Final = "text/html"
_RUNNING: Final[set[asyncio.Task[None]]] = set()


def form_routes(frame: Frame, people: People, rights: RightsBusiness, jobs: PageJobs) -> list[BaseRoute]:
    """The pages of the forms, on a store of a marketplace of this league."""
    context, operations = rights.context, tuple(rights.app.operations.values())
    reads = CatalogueReads(operations, context.authenticate, context.store.entity)
    return editing_routes(
        *(frame, people, context, operations, reads, RecordedOrigins(), StoredActs(context.store)),
        *(lambda: LEAGUE, DID, jobs),
    ).routes


def running_jobs(clock: Clock) -> PageJobs:
    """Jobs that are carried out until the loop ends."""
    jobs = PageJobs(clock)
    task = asyncio.get_running_loop().create_task(jobs.run())
    _RUNNING.add(task)
    task.add_done_callback(_RUNNING.discard)
    return jobs


class ProviderSite:
    """Providers' pages, beside those of the catalogue."""

    def __init__(
        self, business: Business, languages: Catalogues | None = None, everybody: str | None = None
    ) -> None:
        self.rights = RightsBusiness(business, {}, lambda *_: None)
        self.store = business.store
        self.people = RecordedPeople(dict(PEOPLE), everybody)
        self.frame = Frame(Branding("Lübeck Market"), languages, self.people)
        self.clock = business.clock
        self.jobs = running_jobs(business.clock)
        self.client = AsgiClient(self.application())

    def application(self) -> Starlette:
        """The pages of the forms, with their files."""
        frame = self.frame
        routes = form_routes(frame, self.people, self.rights, self.jobs)
        files = [Route(ASSETS_PATH, frame.assets.serve), Route("/preferences", frame.preferences)]
        return rest_application([*routes, *files], lambda request, error: error_page(frame, request, error))

    async def get(self, who: str | None, path: str, accept: str = ACCEPT) -> Response:
        """A page, as somebody sees it."""
        return await self.client.get(path, headers=_headers(who, accept))

    async def post(
        self, who: str | None, path: str, fields: Mapping[str, str | Sequence[str]], accept: str = ACCEPT
    ) -> Response:
        """What comes of a form."""
        return await self.client.post_form(path, {"csrf": CSRF, **fields}, _headers(who, accept))

    async def begun(self, who: str, kind: str, **fields: str) -> str:
        """The path of a new draft, without its step."""
        response = await self.post(who, f"/provider/new/{kind}", {"do": "save", **fields})
        assert response.status == 303, response.body
        return response.headers["location"].rpartition("/")[0]

    async def finished(self, who: str, draft: str) -> str:
        """The identifier of the entity that a draft becomes."""
        response = await self.post(who, f"{draft}/review", {"do": "finish"})
        assert response.status == 303, response.body
        path = response.headers["location"]
        assert path.endswith("/edit?done=1"), path
        return path.removeprefix("/provider/entities/").removesuffix("/edit?done=1")

    async def put(self, id: str, fields: Mapping[str, object], origin: str | None = None) -> None:
        """Store an entity, which is an offering of acme's, and launched, unless its fields say otherwise."""
        entity = {"id": id, "@type": "ProductOffering", "lifecycleStatus": "Launched", **fields}
        entity.setdefault("relatedParty", [party(ACME)])
        body, type_name = canonical_json(entity), str(entity["@type"])
        draft = EntityDraft(id, type_name, body, hashlink(body), public=True, origin=origin)
        await self.rights.put(draft)

    async def entity(self, id: str) -> dict[str, Any]:
        """An entity as the store has it."""
        entity = await self.store.entity(id)
        assert entity is not None
        fields: dict[str, Any] = msgspec.json.decode(entity.body)
        return fields


class SentForm(HTMLParser):
    """The fields of the form of a page, as a browser would send them."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.focused = ""
        self._area = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        name = found.get("name") or ""
        if "autofocus" in found:
            self.focused = name
        if tag == "textarea":
            self._area, self.fields[name] = name, ""
        is_box = found.get("type") in {"checkbox", "radio"} and "checked" not in found
        if tag == "input" and name and not is_box:
            self.fields[name] = found.get("value") or ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.fields[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""


async def open_provider_site(
    languages: Catalogues | None = None, everybody: str | None = None
) -> ProviderSite:
    """Providers' pages on a store in memory, which has nothing."""
    return ProviderSite(await open_business(), languages, everybody)


def _headers(who: str | None, accept: str) -> dict[str, str]:
    return {"accept": accept, **(as_person(who) if who else {})}
