"""Which page of those who offer something is at which path.

/provider                            what there is, what waits, what is wrong
/provider/catalogue                  the own entities: `type=`, `stage=`, `text=`, `after=`
/provider/catalogue/confirm          what a change would do: `action=`, `pick=` of each entity
/provider/catalogue/apply            does it (POST)
/provider/catalogue/outcome          what came of it: `of=`
/provider/entities/{id}              one of them, and what keeps it from being published
/provider/entities/{id}/seen         which marketplace holds which version
/provider/entities/{id}/versions     its versions; `from=` and `to=` are compared
/provider/orders                     orders at which the organisation is the seller: `state=`, `after=`
/provider/orders/{id}                one of them; with `to=` what another state would mean, POST gives it that
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.access import Caller
from hansa.core.cache import HasFigures
from hansa.core.certificates.elsi import elsi_did
from hansa.core.errors import Unavailable
from hansa.core.identifiers import Entropy
from hansa.portal.catalogue.fields import path_of
from hansa.portal.frame import Frame
from hansa.portal.frame.acts import Acts
from hansa.portal.frame.people import People, Role, Visit, VisitHandler, page_for, see
from hansa.portal.providers.offers.catalogue import CATALOGUE_PATH, catalogue_page, own_query
from hansa.portal.providers.offers.changes import OwnChanges, change_action, picked, versions_in
from hansa.portal.providers.offers.dashboard import DashboardPage
from hansa.portal.providers.offers.elsewhere.seen import (
    GLANCE_WAIT_S,
    GLANCED_MAX,
    SEEN_WAIT_S,
    MemberSummary,
    SeenPage,
    member_summaries,
)
from hansa.portal.providers.offers.elsewhere.sights import LeagueSights
from hansa.portal.providers.offers.elsewhere.versions import versions_page
from hansa.portal.providers.offers.entity import EditingLinks, EntityLinks, EntityPage, shown_conditions
from hansa.portal.providers.offers.order_pages import OrderPages
from hansa.portal.providers.offers.orders import SellerOrders
from hansa.portal.providers.offers.own import OwnCatalogue, OwnEntity, OwnQuery

NO_LINKS: Final = EditingLinks()
"""Nothing is written here."""


class OfferPages:
    """Handlers of these paths.

    Args:
        frame: Makes pages.
        people: Knows who is logged in.
        catalogue: The own entities.
        orders: The orders.
        sights: Knows what the league has of them.
        acts: Records who changes what.
        entropy: For the names of outcomes.
        links: Where entities are written.
    """

    def __init__(
        self,
        frame: Frame,
        people: People,
        catalogue: OwnCatalogue,
        orders: SellerOrders,
        sights: LeagueSights,
        acts: Acts,
        entropy: Entropy,
        links: EditingLinks = NO_LINKS,
    ) -> None:
        self._frame = frame
        self._people = people
        self._catalogue = catalogue
        self._orders = orders
        self._sights = sights
        self._changes = OwnChanges(catalogue, acts, entropy)
        self._order_pages = OrderPages(frame, orders, acts)
        self._links = links
        self.caches: Final[tuple[HasFigures, ...]] = (self._changes.cache,)

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        page, orders = self._page, self._order_pages
        return [
            Route("/provider", page(self.dashboard)),
            Route("/provider/catalogue", page(self.catalogue)),
            Route("/provider/catalogue/confirm", page(self.confirm)),
            Route("/provider/catalogue/apply", page(self.apply), methods=["POST"]),
            Route("/provider/catalogue/outcome", page(self.outcome)),
            Route("/provider/entities/{id}", page(self.entity)),
            Route("/provider/entities/{id}/seen", page(self.seen)),
            Route("/provider/entities/{id}/versions", page(self.versions)),
            Route("/provider/orders", page(orders.orders)),
            Route("/provider/orders/{id}", page(orders.order), methods=["GET"]),
            Route("/provider/orders/{id}", page(orders.change), methods=["POST"]),
        ]

    def _page(self, handler: VisitHandler) -> Callable[..., object]:
        return page_for(self._people, Role.PROVIDER, handler)

    async def dashboard(self, visit: Visit) -> Response:
        """`GET /provider`."""
        caller, person = visit.caller, visit.person
        counts = await self._catalogue.counts(caller)
        is_seen = caller.organization and any(
            one.kind == "ProductOffering" and one.launched for one in counts
        )
        page = DashboardPage(
            person.organization_name or person.organization,
            counts,
            await self._orders.waiting(caller),
            await self._catalogue.problems(caller),
            await self._elsewhere(caller),
            self._links.forms,
            is_orderable=caller.organization is not None,
            public_path=path_of("providers", elsi_did(caller.organization or "")) if is_seen else "",
        )
        return self._frame.negotiated(visit.request, "providers/dashboard.html", page)

    async def catalogue(self, visit: Visit) -> Response:
        """`GET /provider/catalogue`."""
        requested = own_query(tuple(visit.request.query_params.multi_items()))
        result = await self._catalogue.page(visit.caller, requested)
        links = self._links.of(requested.kind, "x") if self._links.of is not None else EntityLinks()
        page = catalogue_page(requested, result, has_visibility=bool(links.visibility))
        return self._frame.negotiated(visit.request, "providers/catalogue.html", page)

    async def confirm(self, visit: Visit) -> Response:
        """`GET /provider/catalogue/confirm`."""
        query = visit.request.query_params
        action, ids = change_action(query.get("action", "")), picked(tuple(query.getlist("pick")))
        page = await self._changes.intended(visit.caller, action, ids)
        return self._frame.negotiated(visit.request, "providers/confirm.html", page)

    async def apply(self, visit: Visit) -> Response:
        """`POST /provider/catalogue/apply`."""
        action = change_action(visit.form.one("action"))
        token = await self._changes.apply(visit.caller, action, versions_in(visit.form.all("item")))
        return see(f"{CATALOGUE_PATH}/outcome?of={token}")

    async def outcome(self, visit: Visit) -> Response:
        """`GET /provider/catalogue/outcome`."""
        page = self._changes.outcome(visit.caller, visit.request.query_params.get("of", ""))
        return self._frame.negotiated(visit.request, "providers/outcome.html", page)

    async def entity(self, visit: Visit) -> Response:
        """`GET /provider/entities/{id}`."""
        caller, entity_id = visit.caller, visit.request.path_params["id"]
        entity = await self._catalogue.one(caller, entity_id)
        conditions = () if entity.stage == "retired" else await self._catalogue.conditions(caller, entity_id)
        links = self._links_of(entity)
        refusals = {each: await self._catalogue.refusal(caller, each, entity_id) for each in entity.actions}
        is_offered = entity.kind == "ProductOffering" and entity.is_public
        page = EntityPage(
            entity,
            tuple(each for each in entity.actions if not refusals[each]),
            next((one for one in refusals.values() if one), ""),
            shown_conditions(conditions, links),
            links,
            path_of("offerings", entity.id) if is_offered else "",
        )
        return self._frame.negotiated(visit.request, "providers/entity.html", page)

    async def seen(self, visit: Visit) -> Response:
        """`GET /provider/entities/{id}/seen`."""
        entity = await self._catalogue.one(visit.caller, visit.request.path_params["id"])
        sights = await self._sights.holders((entity.id,), SEEN_WAIT_S)
        page = SeenPage(entity, sights.get(entity.id, ()))
        return self._frame.negotiated(visit.request, "providers/seen.html", page)

    async def versions(self, visit: Visit) -> Response:
        """`GET /provider/entities/{id}/versions`."""
        caller, query = visit.caller, visit.request.query_params
        entity = await self._catalogue.one(caller, visit.request.path_params["id"])
        here = await self._catalogue.content(caller, entity.id)
        compared = query.get("from", ""), query.get("to", "")
        page = await versions_page(self._sights, entity, here, *compared)
        return self._frame.negotiated(visit.request, "providers/versions.html", page)

    async def _elsewhere(self, caller: Caller) -> tuple[MemberSummary, ...]:
        """How the other members are with the first own offerings that are announced."""
        launched = await self._catalogue.page(caller, OwnQuery(stage="launched"))
        announced = [one.id for one in launched.entities if one.publication.version]
        try:
            sights = await self._sights.holders(announced[:GLANCED_MAX], GLANCE_WAIT_S)
        except Unavailable:
            return ()
        return member_summaries(sights)

    def _links_of(self, entity: OwnEntity) -> EntityLinks:
        if self._links.of is None or entity.publication.state == "replica":
            return EntityLinks()
        return self._links.of(entity.kind, entity.id)
