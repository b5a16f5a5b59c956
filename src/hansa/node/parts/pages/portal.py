"""The web pages, as the settings say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hansa.api.responses import response_of
from hansa.business import BusinessApp
from hansa.business.context import Context
from hansa.core.cache import HasFigures
from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, HansaError
from hansa.core.files import read_file
from hansa.core.http import HttpClient
from hansa.node.allowed_origins import MemberOrigins
from hansa.node.http.application import ErrorAnswer, rest_application
from hansa.node.http.described.documents import LeagueDescriptions
from hansa.node.parts.pages.acts import StoredActs
from hansa.node.parts.pages.editing import editing_routes
from hansa.node.parts.pages.favourites import FavouritesInStore
from hansa.node.parts.pages.offers.assembly import offer_pages
from hansa.node.parts.pages.operators import Operated, operator_pages
from hansa.node.parts.pages.origins import LedgerOrigins
from hansa.node.parts.replication import Replication
from hansa.node.parts.search import Searching
from hansa.node.settings.loading import Settings
from hansa.portal import Branding, Frame, Overview, PortalRoutes, error_page
from hansa.portal.accounts import AccountPages
from hansa.portal.catalogue.favourites import Favourites
from hansa.portal.catalogue.pictures.loading import Pictures
from hansa.portal.catalogue.reading import CatalogueReads
from hansa.portal.catalogue.routes import CataloguePages
from hansa.portal.frame.acts import Acts
from hansa.portal.frame.branding import Logo
from hansa.portal.frame.frame import PreparedPages, wants_page
from hansa.portal.frame.people import People
from hansa.portal.providers.editing.importing.page_jobs import PageJobs
from hansa.pubsub.ledger_reads import StrangersReads
from hansa.replication.registry import MemberRegistry

LOGO_MAX_BYTES: Final = 65_536
WARMING_PAUSE_S: Final = 0.05
"""Between parts of what is made ready after a start, for whoever needs the processor then."""
_KINDS: Final = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"<svg", "image/svg+xml"), (b"<?xml", "image/svg+xml"))


class Portal(msgspec.Struct, frozen=True):
    """What the wiring needs of it."""

    frame: Frame
    """Of further pages."""
    acts: Acts
    """Records what people do on them."""
    origins: LedgerOrigins
    """Knows where entities come from."""
    routes: tuple[BaseRoute, ...]
    caches: tuple[HasFigures, ...]
    jobs: PageJobs
    """What pages have begun."""
    clock: Clock
    answer: ErrorAnswer
    """Reports errors: as a page to whoever requests pages."""

    async def run(self) -> None:
        """Make ready what the first readers need, and do what pages have begun; for the background."""
        await self.frame.warm(partial(self.clock.sleep, WARMING_PAUSE_S))
        await self.jobs.run()

    def application(self, others: Sequence[BaseRoute]) -> Starlette:
        """The pages and other routes as one application."""
        application = rest_application([*self.routes, *others], self.answer)
        application.add_middleware(PreparedPages, frame=self.frame)
        return application


def portal(
    settings: Settings,
    context: Context,
    overview: Callable[[], Awaitable[Overview]],
    described: LeagueDescriptions,
    people: People,
    business: BusinessApp,
    searching: Searching,
    bus: StrangersReads,
    registry: MemberRegistry,
    operated: Operated,
    replication: Replication,
    to_members: HttpClient,
) -> Portal:
    """The pages of a marketplace.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when a colour cannot be read or the logo is none.
    """
    is_secure = settings.endpoint.startswith("https:")
    frame = Frame(branding(settings), people=people, is_secure=is_secure)

    def answer(request: Request, error: HansaError) -> Response:
        return error_page(frame, request, error) if wants_page(request) else response_of(error)

    reads = CatalogueReads(business.operations.values(), context.authenticate, context.store.entity)
    described_by = settings.did, settings.name, context.store, bus, registry, context.clock
    origins = LedgerOrigins(*described_by, replication.pusher.failing_since)
    hosts = MemberOrigins(registry.known, settings.followed_members)
    pictures = Pictures(to_members, hosts.has_origin, context.clock)
    catalogue = CataloguePages(
        *(frame, reads, searching.search, origins, settings.endpoint, settings.limits),
        version=context.store.last_change,
        clock=context.clock,
        favourites=Favourites(people, FavouritesInStore(context.store, context.clock)),
        pictures=pictures,
    )
    routes = PortalRoutes(frame, context.models, settings.endpoint, overview, described)
    accounts = AccountPages(frame, people)
    acts = StoredActs(context.store)
    jobs = PageJobs(context.clock)
    operators = operator_pages(frame, people, acts, operated)
    operations = tuple(business.operations.values())
    editing = editing_routes(
        *(frame, people, context, operations, reads, origins, acts, registry.known, settings.did, jobs)
    )
    offers = offer_pages(
        *(frame, people, acts, context, business, replication.policy, replication.peers),
        *(bus, origins.name, editing.routes),
    )
    pages = (
        *(*catalogue.routes(), *accounts.routes(), *routes.routes(), *searching.routes(catalogue.search)),
        *(*operators, *offers.routes, *editing.routes),
    )
    caches: tuple[HasFigures, ...] = (
        routes.cache,
        origins.cache,
        pictures.cache,
        catalogue.cache,
        frame.rendered_pages,
        catalogue.alike_cache,
        *offers.caches,
        *editing.caches,
    )
    return Portal(frame, acts, origins, pages, caches, jobs, context.clock, answer)


def branding(settings: Settings) -> Branding:
    """The look that the settings describe."""
    made = Branding(
        name=settings.name,
        accent=settings.portal_accent,
        accent_dark=settings.portal_accent_dark,
        logo=_logo(settings.portal_logo),
        imprint=settings.portal_imprint,
        terms=settings.portal_terms,
    )
    made.check()
    return made


def _logo(name: str) -> Logo | None:
    if not name:
        return None
    content = read_file(Path(name), "portal_logo names a file in the marketplace's folder.")
    kind = next((media for start, media in _KINDS if content.lstrip().startswith(start)), None)
    if kind is None or len(content) > LOGO_MAX_BYTES:
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"portal_logo: {name} must be SVG or PNG of {LOGO_MAX_BYTES} bytes at most.",
        )
    return Logo(content, kind)
