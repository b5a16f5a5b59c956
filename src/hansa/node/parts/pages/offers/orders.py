"""Orders at which an organisation is the seller (`hansa.portal.providers.offers.orders.SellerOrders`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from hansa.business.context import Context
from hansa.business.operations.api_operations import ApiOperations
from hansa.business.operations.writes import Preconditions
from hansa.business.patches import MERGE_PATCH
from hansa.business.rights.targets import access_target
from hansa.core.access import Action, Caller
from hansa.core.errors import Code, Refused
from hansa.core.parties import BUYER_ROLES, role_of
from hansa.core.work import Checkpoint
from hansa.identity.rights.parties import parties_of
from hansa.node.parts.pages.offers.ownership import PARTY, entities_of, names_organization, refusal_of
from hansa.node.parts.pages.offers.places import Place, place_of, place_text
from hansa.portal.catalogue.fields import fields_in, items_in, number_in, text_in
from hansa.portal.providers.offers.orders import (
    ORDERS_PAGE_SIZE,
    SELLER_STATES,
    WAITING_STATES,
    OrderItem,
    OrderPage,
    SellerOrder,
    StateCount,
)
from hansa.store import Condition, Entity, Filter, Query, SortKey, Test

ORDER: Final = "ProductOrder"
NOTES_MAX: Final = 20

Fields = Mapping[str, Any]


class StoredSellerOrders:
    """The orders in the store.

    Args:
        operations: Of all APIs.
        context: Of the APIs.
    """

    def __init__(self, operations: Iterable[ApiOperations], context: Context) -> None:
        self._order = next(one[ORDER] for one in operations if ORDER in one.by_collection)
        machine = context.models.lifecycle(self._order.resource)
        assert machine is not None, "orders have states"
        self._machine = machine
        self._store = context.store
        self._aliases = context.aliases
        self._parties = access_target(*context.models.served(ORDER)).party_attributes

    async def waiting(self, caller: Caller) -> tuple[StateCount, ...]:
        """See `SellerOrders`."""
        if caller.organization is None:
            return ()
        conditions = await self._sold_by(caller, None)
        scope = await self._order.read.scope(caller)
        counts: list[StateCount] = []
        for state in WAITING_STATES:
            query = Query(ORDER, (*conditions, Filter(("state",), (state,))), limit=1, public_only=False)
            total = (await self._order.read.page(scope, query)).total
            if total:
                counts.append(StateCount(state, total))
        return tuple(counts)

    async def page(self, caller: Caller, state: str, after: str) -> OrderPage:
        """See `SellerOrders`."""
        if caller.organization is None:
            return OrderPage(())
        conditions = await self._sold_by(caller, place_of(after) if after else None)
        if state:
            conditions = (*conditions, Filter(("state",), (state,)))
        sort = (SortKey(("orderDate",), descending=True), SortKey(("id",), descending=True))
        query = Query(ORDER, conditions, sort, limit=ORDERS_PAGE_SIZE + 1, public_only=False)
        page = await self._order.read.page(await self._order.read.scope(caller), query)
        entities = await entities_of(self._store, page.ids[:ORDERS_PAGE_SIZE])
        has_more = page.is_cut or len(page.ids) > ORDERS_PAGE_SIZE
        last = _place(msgspec.json.decode(entities[-1].body)) if entities and has_more else None
        return OrderPage(tuple(map(self._shown, entities)), "" if last is None else place_text(last))

    async def one(self, caller: Caller, order_id: str) -> SellerOrder:
        """See `SellerOrders`."""
        return self._shown(await self._entity(caller, order_id))

    async def refusal(self, caller: Caller, order_id: str) -> str:
        """See `SellerOrders`."""
        entity = await self._entity(caller, order_id)
        return await refusal_of(self._order.served, caller, Action.CHANGE, entity)

    async def change(self, caller: Caller, order_id: str, state: str, version: str) -> None:
        """See `SellerOrders`."""
        await self._entity(caller, order_id)
        grant = self._order.update.authorize(caller)
        expected = Preconditions(versions=frozenset({version}))
        await self._order.update.patch(grant, order_id, MERGE_PATCH, {"state": state}, None, expected)

    async def _entity(self, caller: Caller, order_id: str) -> Entity:
        unknown = Refused(Code.NOT_FOUND, f"No order of yours is here under {order_id[:300]!r}.")
        if caller.organization is None:
            raise unknown
        read = self._order.read
        try:
            entity = await read.one(await read.scope(caller), order_id)
        except Refused as error:
            if error.code is Code.NOT_FOUND:
                raise unknown from None
            raise
        aliases = await self._aliases.of(caller.organization)
        if not self._is_seller(msgspec.json.decode(entity.body), caller.organization, aliases):
            raise unknown
        return entity

    def _is_seller(self, fields: Fields, organization: str, aliases: frozenset[str]) -> bool:
        return organization in parties_of(fields, self._parties, organization, aliases).owners

    async def _sold_by(self, caller: Caller, after: Place | None) -> tuple[Condition, ...]:
        """That the caller's organisation is the seller of an order, which comes after a place of the list."""
        organization = caller.organization
        assert organization is not None, "whoever acts for none has no orders"
        aliases = await self._aliases.of(organization)

        def holds(fields: Any, checkpoint: Checkpoint) -> bool:
            checkpoint()
            is_after = after is None or _place(fields) < after
            return is_after and self._is_seller(fields, organization, aliases)

        return names_organization(organization, aliases), Test("orders of a seller", holds)

    def _shown(self, entity: Entity) -> SellerOrder:
        fields: Fields = msgspec.json.decode(entity.body)
        state = text_in(fields, "state")
        known = self._machine.spelling_of(state)
        following = self._machine.successors(known) if known is not None else ()
        return SellerOrder(
            id=entity.id,
            state=state,
            ordered=text_in(fields, "orderDate"),
            buyer=_buyer(fields),
            version=entity.hashlink,
            items=tuple(_item(one) for one in items_in(fields, "productOrderItem")),
            following=() if entity.origin is not None else _seller_states(state, following),
            description=text_in(fields, "description"),
            notes=tuple(text_in(one, "text") for one in items_in(fields, "note")[:NOTES_MAX]),
            due=text_in(fields, "completionDate") or text_in(fields, "expectedCompletionDate"),
        )


def _seller_states(state: str, following: tuple[str, ...]) -> tuple[str, ...]:
    """What a seller makes of an order: it is cancelled when the customer has requested for that."""
    is_cancelling = state in {"assessingCancellation", "pendingCancellation"}
    return tuple(one for one in SELLER_STATES if one in following and (is_cancelling or one != "cancelled"))


def _item(fields: Fields) -> OrderItem:
    offering = fields_in(fields, "productOffering")
    product = fields_in(fields, "product")
    return OrderItem(
        id=text_in(fields, "id"),
        action=text_in(fields, "action"),
        quantity=int(number_in(fields, "quantity") or 1),
        state=text_in(fields, "state"),
        offering_id=text_in(offering, "id"),
        offering_name=text_in(offering, "name") or text_in(product, "name") or text_in(offering, "id"),
    )


def _buyer(fields: Fields) -> str:
    for party in items_in(fields, PARTY):
        if role_of(party) in BUYER_ROLES:
            return text_in(party, "name") or text_in(party, "id")
    return ""


def _place(fields: Fields) -> Place:
    return text_in(fields, "orderDate"), text_in(fields, "id")
