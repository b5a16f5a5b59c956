"""The pages of those who offer something, put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from starlette.routing import BaseRoute

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
    """
    operations = tuple(business.operations.values())
    catalogue = StoredOwnCatalogue(operations, context, policy, name)
    orders = StoredSellerOrders(operations, context)
    parts = PublicParts(context.models)
    sights = ReportedSights(context.store, peers, bus, parts, policy.did, context.clock)
    pages = OfferPages(frame, people, catalogue, orders, sights, acts, context.entropy)
    return OfferParts(pages.routes(), (*pages.caches, sights.cache))
