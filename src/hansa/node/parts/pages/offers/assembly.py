"""The pages of those who offer something, put together."""

from __future__ import annotations

from collections.abc import Callable

from hansa.business import BusinessApp
from hansa.business.context import Context
from hansa.node.parts.pages.offers.orders import StoredSellerOrders
from hansa.node.parts.pages.offers.own import StoredOwnCatalogue
from hansa.portal.frame import Frame
from hansa.portal.frame.acts import Acts
from hansa.portal.frame.people import People
from hansa.portal.providers.offers.routes import OfferPages
from hansa.replication.conditions.policy import DistributionPolicy


def offer_pages(
    frame: Frame,
    people: People,
    acts: Acts,
    context: Context,
    business: BusinessApp,
    policy: DistributionPolicy,
    name: Callable[[str | None], str],
) -> OfferPages:
    """The pages.

    Args:
        frame: Makes them.
        people: Knows who is logged in.
        acts: Records who changes what.
        context: Of the APIs.
        business: The APIs, whose operations change what is changed.
        policy: What leaves this marketplace.
        name: The name of a member, by its DID.
    """
    operations = tuple(business.operations.values())
    catalogue = StoredOwnCatalogue(operations, context, policy, name)
    orders = StoredSellerOrders(operations, context)
    return OfferPages(frame, people, catalogue, orders, acts, context.entropy)
