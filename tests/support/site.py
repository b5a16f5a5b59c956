"""The pages of a marketplace with the sample data of a whole league, in this process and without a ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.routing import BaseRoute

import hansa.cli.demo
from hansa.api.search import SearchApi
from hansa.business.search.answering import Search
from hansa.business.search.documents import HERE
from hansa.business.search.indexing import IndexFollower
from hansa.business.search.making import DocumentMaker
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.errors import Code, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.members import Member
from hansa.node.http.application import rest_application
from hansa.node.http.described.documents import LeagueDescriptions
from hansa.node.parts.pages.favourites import FavouritesInStore
from hansa.portal import Branding, Frame, Overview, PortalRoutes, error_page
from hansa.portal.catalogue.favourites import Favourites
from hansa.portal.catalogue.origins import AnnouncedVersion, OriginCertificate, Provenance
from hansa.portal.catalogue.pictures.loading import Pictures
from hansa.portal.catalogue.reading import CatalogueReads
from hansa.portal.catalogue.routes import CataloguePages
from hansa.portal.frame.languages import Catalogues
from hansa.portal.frame.people import People
from hansa.store import Entity, EntityDraft
from tests.support.business import ENDPOINT, MODELS, Business, authenticate, open_business
from tests.support.plain_search import PlainSearchIndex

SAMPLE: Final = Path(hansa.cli.demo.__file__).parent / "sample"
MEMBERS: Final = ("lubeck", "bergen", "riga", "bruges")
"""The first of them is the marketplace itself."""
OFFERING: Final = "urn:ngsi-ld:product-offering:2b835c8a-e0bf-58e1-9a57-606ccf72e75e"
"""Of its own, with prices by usage and characteristics to choose."""
REPLICA: Final = "urn:ngsi-ld:product-offering:dd936213-3b20-5bf8-82cf-826c3a90a52f"
"""Of another member, which does not answer."""
PROVIDER: Final = "urn:ngsi-ld:organization:57f888ea-4d48-580d-8c7b-98ec66d1ad3b"
CATEGORY: Final = "urn:ngsi-ld:category:e45e17e4-0d57-5efe-bee0-aa169e61468a"
SPECIFICATION: Final = "urn:ngsi-ld:product-specification:89ba5ab8-4ea0-5d74-ac5d-5c70d5746fae"
CATALOGUE: Final = "urn:ngsi-ld:catalog:51f9de0a-3a7b-5081-9879-01b381f9183b"
PRICE: Final = "urn:ngsi-ld:product-offering-price:ac82b5c3-10e0-5ef4-a940-e6af92105544"
VERSION: Final = AnnouncedVersion(
    3, "productOfferingAttributeValueChangeEvent", 7, 812, "2026-11-28T10:00:00.000Z", "Launched"
)
CERTIFICATE: Final = OriginCertificate(
    "Lübeck Market eG", "VATDE-123456789", "Seal Authority", "2027-06-30T00:00:00.000Z", "valid"
)


class RecordedOrigins:
    """Origins whose events are the same for everything."""

    def __init__(self, *, is_silent: bool = False) -> None:
        self._is_silent = is_silent

    def name(self, did: str | None) -> str:
        return did or MEMBERS[0]

    async def provenance(self, entity: Entity) -> Provenance:
        return Provenance(
            member=self.name(entity.origin),
            did=f"did:web:{self.name(entity.origin)}.example",
            endpoint=f"https://{self.name(entity.origin)}.example",
            is_own=entity.origin is None,
            announced=None if self._is_silent else VERSION,
            is_ledger_silent=self._is_silent,
            failing_since="2026-11-30T12:00:00.000Z" if entity.origin == "bruges" else None,
            receipt=None if self._is_silent else "/league/v1/entities/x/receipt?latest=true",
        )

    async def history(self, entity: Entity) -> tuple[AnnouncedVersion, ...]:
        return () if self._is_silent else (VERSION,)

    async def certificates(self, did: str) -> tuple[OriginCertificate, ...] | None:
        if self._is_silent:
            return None
        return (CERTIFICATE,) if MEMBERS[0] in did else ()


class Site:
    """A portal, and the store that it shows."""

    def __init__(
        self,
        business: Business,
        languages: Catalogues | None = None,
        people: People | None = None,
        *,
        is_silent: bool = False,
        more: Callable[[Frame, People, Business], Sequence[BaseRoute]] | None = None,
    ) -> None:
        self.business = business
        self._index = PlainSearchIndex()
        maker = DocumentMaker(business.store, MODELS)
        self._follower = IndexFollower(business.store, self._index, maker, business.clock)
        origins = RecordedOrigins(is_silent=is_silent)
        search = Search(business.context, self._index, self._follower.unindexed, _origin_name)
        self.frame = Frame(Branding("Lübeck Market"), languages, people)
        reads = CatalogueReads(business.app.operations.values(), authenticate, business.store.entity)
        self.pages = CataloguePages(
            *(self.frame, reads, search, origins, ENDPOINT, business.limits),
            version=business.store.last_change,
            clock=business.clock,
            pictures=Pictures(NoMembers(), _has_no_origin, business.clock),
            favourites=None
            if people is None
            else Favourites(people, FavouritesInStore(business.store, business.clock)),
        )
        self._more = [] if people is None or more is None else more(self.frame, people, business)
        self._search = SearchApi(search, authenticate, business.limits, self.pages.search)

    def application(self) -> Starlette:
        """Everything but the TM Forum APIs."""
        frame = self.frame
        others = PortalRoutes(frame, MODELS, ENDPOINT, self._overview, LeagueDescriptions(ENDPOINT))
        routes = [*self.pages.routes(), *others.routes(), *self._search.routes(), *self._more]
        return rest_application(routes, lambda request, error: error_page(frame, request, error))

    async def add(self, entity: Mapping[str, Any], origin: str | None = None) -> None:
        """Store an entity that everybody may see."""
        body = canonical_json(entity)
        draft = EntityDraft(entity["id"], entity["@type"], body, hashlink(body), public=True, origin=origin)
        async with self.business.store.transaction() as tx:
            await tx.put(draft)

    async def add_sample(self) -> None:
        """Store what all members offer."""
        for member in MEMBERS:
            for line in (SAMPLE / f"{member}.jsonl").read_text().splitlines():
                await self.add(json.loads(line), None if member == MEMBERS[0] else member)
        await self.catch_up()

    async def catch_up(self) -> None:
        """Have everything that was added in the search."""
        await self._follower.catch_up()

    async def _overview(self) -> Overview:
        counts = (("Category", 8, 15), ("ProductOffering", 11, 34))
        members = tuple(
            Member(f"did:web:{name}.example", name, f"https://{name}.example", (), 10) for name in MEMBERS
        )
        return Overview("Lübeck Market", members[0].did, "0.1.0", counts, members, 812, 1234)


class NoMembers:
    """A client that reaches nobody."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        raise Unavailable(Code.RETRIEVAL_UNREACHABLE, request.url)


async def _has_no_origin(origin: str) -> bool:
    del origin
    return False


def _origin_name(did: str) -> str:
    return MEMBERS[0] if did == HERE else did


async def open_site(
    languages: Catalogues | None = None,
    people: People | None = None,
    *,
    with_sample: bool = True,
    is_silent: bool = False,
    more: Callable[[Frame, People, Business], Sequence[BaseRoute]] | None = None,
) -> Site:
    """A portal on a store in memory.

    Args:
        languages: Those that are offered.
        people: Who is logged in; None: nobody can log in.
        with_sample: Whether it shows what the members of the sample offer.
        is_silent: Whether the ledger does not answer.
        more: Makes the routes of the pages that are for some people.
    """
    site = Site(await open_business(), languages, people, is_silent=is_silent, more=more)
    if with_sample:
        await site.add_sample()
    return site
