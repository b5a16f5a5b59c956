"""The pages of orders: a list, and one order with the states that the seller can give it."""

from __future__ import annotations

from functools import partial
from typing import Final
from urllib.parse import quote, urlencode

import msgspec
from starlette.responses import Response

from hansa.core.errors import Code, Refused
from hansa.core.known_words import check_known
from hansa.portal.frame import Frame
from hansa.portal.frame.acts import Act, Acts, carry_out
from hansa.portal.frame.people import Visit, see
from hansa.portal.providers.offers.catalogue import Choice
from hansa.portal.providers.offers.orders import (
    ENDED_STATES,
    WAITING_STATES,
    SellerOrder,
    SellerOrders,
)

ORDERS_PATH: Final = "/provider/orders"


class OrdersPage(msgspec.Struct, frozen=True):
    """For the template `providers/orders.html`."""

    states: tuple[Choice, ...]
    orders: tuple[SellerOrder, ...]
    is_orderable: bool
    """Whether whoever looks can be a seller: it acts for an organisation."""
    next_path: str
    """Of the next page; empty: there is none."""


class SellerOrderPage(msgspec.Struct, frozen=True):
    """For the template `providers/order.html`."""

    order: SellerOrder
    refusal: str
    """Why the person may not change it; empty: it may."""
    intended: str
    """State that it is about to be given; empty: none."""


class OrderPages:
    """Handlers of these pages.

    Args:
        frame: Makes pages.
        orders: The orders.
        acts: Records who changes what.
    """

    def __init__(self, frame: Frame, orders: SellerOrders, acts: Acts) -> None:
        self._frame = frame
        self._orders = orders
        self._acts = acts

    async def orders(self, visit: Visit) -> Response:
        """`GET /provider/orders`."""
        query = visit.request.query_params
        state, after = query.get("state", ""), query.get("after", "")
        if state:
            check_known((state,), (*WAITING_STATES, *ENDED_STATES), "state")
        result = await self._orders.page(visit.caller, state, after)
        choices = ("", *WAITING_STATES, *ENDED_STATES)
        page = OrdersPage(
            tuple(Choice(one, _list_path(one), one == state) for one in choices),
            result.orders,
            visit.caller.organization is not None,
            _list_path(state, result.next_after) if result.next_after else "",
        )
        return self._frame.negotiated(visit.request, "providers/orders.html", page)

    async def order(self, visit: Visit) -> Response:
        """`GET /provider/orders/{id}`."""
        order = await self._orders.one(visit.caller, visit.request.path_params["id"])
        refusal = await self._orders.refusal(visit.caller, order.id) if order.following else ""
        intended = visit.request.query_params.get("to", "")
        if intended:
            _check_following(order, intended)
        page = SellerOrderPage(order, refusal, intended)
        return self._frame.negotiated(visit.request, "providers/order.html", page)

    async def change(self, visit: Visit) -> Response:
        """`POST /provider/orders/{id}`."""
        order = await self._orders.one(visit.caller, visit.request.path_params["id"])
        state, version = visit.form.one("state"), visit.form.one("version")
        _check_following(order, state)
        deed = partial(self._orders.change, visit.caller, order.id, state, version)
        await carry_out(self._acts, visit.caller, Act(f"order-{state.lower()}", order.id), deed)
        return see(f"{ORDERS_PATH}/{quote(order.id, safe=':')}")


def _check_following(order: SellerOrder, state: str) -> None:
    """Refuse a state that the seller cannot give an order.

    Raises:
        Refused: `Code.TRANSITION_REFUSED`.
    """
    if state not in order.following:
        known = ", ".join(order.following) or "none"
        raise Refused(
            Code.TRANSITION_REFUSED, f"The order is {order.state}. States that can follow: {known}."
        )


def _list_path(state: str, after: str = "") -> str:
    named = {name: value for name, value in (("state", state), ("after", after)) if value}
    return f"{ORDERS_PATH}?{urlencode(named)}" if named else ORDERS_PATH
