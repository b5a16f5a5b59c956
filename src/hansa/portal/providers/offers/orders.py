"""Orders at which the caller's organisation is the seller."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from hansa.core.access import Caller

WAITING_STATES: Final = (
    "acknowledged",
    "pending",
    "held",
    "inProgress",
    "assessingCancellation",
    "pendingCancellation",
)
"""States of orders with which something has still to happen."""
ENDED_STATES: Final = ("completed", "partial", "rejected", "failed", "cancelled")
SELLER_STATES: Final = (
    "inProgress",
    "pending",
    "held",
    "completed",
    "partial",
    "failed",
    "rejected",
    "cancelled",
)
"""States that a seller gives an order, as far as they can follow."""
ORDERS_PAGE_SIZE: Final = 25


class OrderItem(msgspec.Struct, frozen=True):
    """What is ordered."""

    id: str
    action: str
    """As `add`."""
    quantity: int
    state: str
    offering_id: str
    offering_name: str


class SellerOrder(msgspec.Struct, frozen=True):
    """An order."""

    id: str
    state: str
    ordered: str
    """RFC 3339; empty: it does not say."""
    buyer: str
    """As the order names it."""
    version: str
    """Hashlink, by which a change knows that nobody else has changed it."""
    items: tuple[OrderItem, ...]
    following: tuple[str, ...]
    """States that the seller can give it."""
    description: str = ""
    notes: tuple[str, ...] = ()
    due: str = ""
    """When it is, or was, to be completed: RFC 3339."""


class StateCount(msgspec.Struct, frozen=True):
    """How many orders are in a state."""

    state: str
    count: int


class OrderPage(msgspec.Struct, frozen=True):
    """Some orders, the newest first."""

    orders: tuple[SellerOrder, ...]
    next_after: str = ""
    """Where the next page goes on; empty: there is none."""


class SellerOrders(Protocol):
    """The orders of a caller. Whoever acts for no organisation has none."""

    async def waiting(self, caller: Caller, /) -> tuple[StateCount, ...]:
        """How many orders with which something has still to happen are in each state that has any."""

    async def page(self, caller: Caller, state: str, after: str, /) -> OrderPage:
        """Some of them; in any state when that is empty.

        Raises:
            Refused: `Code.INVALID`: `after` is of no page.
            Unavailable: `Code.SEARCH_TOO_SLOW` or `Code.OVERLOADED`.
        """

    async def one(self, caller: Caller, order_id: str, /) -> SellerOrder:
        """One of them.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """

    async def refusal(self, caller: Caller, order_id: str, /) -> str:
        """Why the caller may not change one, as a sentence; empty: nothing speaks against it.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """

    async def change(self, caller: Caller, order_id: str, state: str, version: str, /) -> None:
        """Give one that still is as it was seen another state.

        Raises:
            Refused: `Code.NOT_FOUND`, `Code.PRECONDITION_FAILED`; as the APIs do.
            Unavailable: As the APIs do; nothing was changed.
        """
