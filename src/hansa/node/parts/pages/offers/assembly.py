"""The pages of those who offer something, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.routing import BaseRoute, Route

from hansa.business import BusinessApp
from hansa.business.context import Context
from hansa.business.visibility import PublicParts
from hansa.core.cache import HasFigures
from hansa.node.parts.pages.offers.orders import StoredSellerOrders
from hansa.node.parts.pages.offers.own import StoredOwnCatalogue
from hansa.node.parts.pages.offers.sights import ReportedSights
from hansa.portal.frame import Frame
from hansa.portal.frame.acts import Acts
from hansa.portal.frame.people import People
from hansa.portal.providers.editing.forms.kinds import BY_COLLECTION
from hansa.portal.providers.editing.forms.kinds import KINDS as FORM_KINDS
from hansa.portal.providers.offers.entity import EditingLinks, EntityLinks, FormLinks, entity_path
from hansa.portal.providers.offers.own import Kind
from hansa.portal.providers.offers.routes import OfferPages
from hansa.pubsub.bus import BusReads
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.sources.peers import PeerView


class OfferParts(NamedTuple):
    """What the wiring needs of them."""

    routes: list[BaseRoute]
    caches: tuple[HasFigures, ...]


def offer_pages(
    frame: Frame,
    people: People,
    acts: Acts,
    context: Context,
    business: BusinessApp,
    policy: DistributionPolicy,
    peers: PeerView,
    bus: BusReads,
    name: Callable[[str | None], str],
    editing: Sequence[BaseRoute],
) -> OfferParts:
    """The pages.

    Args:
        frame: Makes them.
        people: Knows who is logged in.
        acts: Records who changes what.
        context: Of the APIs.
        business: The APIs, whose operations change what is changed.
        policy: What leaves this marketplace.
        peers: Asks the other members.
        bus: The ledger, as strangers read it.
        name: The name of a member, by its DID.
        editing: Routes of the pages on which something is written.
    """
    operations = tuple(business.operations.values())
    catalogue = StoredOwnCatalogue(operations, context, policy, name)
    orders = StoredSellerOrders(operations, context)
    parts = PublicParts(context.models)
    sights = ReportedSights(context.store, peers, bus, parts, policy.did, context.clock)
    pages = OfferPages(
        frame, people, catalogue, orders, sights, acts, context.entropy, editing_links(editing)
    )
    return OfferParts(pages.routes(), (*pages.caches, sights.cache))


def editing_links(routes: Sequence[BaseRoute]) -> EditingLinks:
    """Where something is written, as far as there are pages for it."""
    paths = {one.path for one in routes if isinstance(one, Route)}

    def there(path: str, route: str = "") -> str:
        return path if (route or path) in paths else ""

    def of(kind: Kind, entity_id: str) -> EntityLinks:
        form = BY_COLLECTION.get(kind)
        if form is None:
            return EntityLinks()
        edit = there(entity_path(entity_id, "/edit"), "/provider/entities/{id}/edit")
        visibility = there(entity_path(entity_id, "/visibility"), "/provider/entities/{id}/visibility")
        copied = f"/provider/new/{form.name}?{urlencode({'copy': entity_id})}"
        return EntityLinks(edit, visibility, there(copied, "/provider/new/{kind}"))

    new = {name: there(f"/provider/new/{name}", "/provider/new/{kind}") for name in FORM_KINDS}
    begun, imports = there("/provider/drafts"), there("/provider/import")
    forms = FormLinks(new["offering"], new["price"], new["specification"], begun, imports)
    return EditingLinks(forms, of)
