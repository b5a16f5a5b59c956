"""Orders are held to the restrictions in the terms of what is ordered (`offering_terms`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from hansa.business.context import Context
from hansa.business.rights.offering_terms import Ordering, unmet_term
from hansa.core.access import Caller
from hansa.core.certificates.elsi import ELSI_PREFIX
from hansa.core.clock import rfc3339
from hansa.core.errors import Code, Refused
from hansa.core.parties import BUYER_ROLES, role_of
from hansa.store import Entity

ORDER: Final = "ProductOrder"
OFFERINGS_MAX: Final = 500
"""Offerings that one order names, with what they bundle."""
_MENTIONED: Final = b'"productOfferingTerm":'


class OrderedTerms:
    """Checks new orders, and what changes order."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def check(self, caller: Caller, order: Mapping[str, Any]) -> None:
        """Refuse an order of what its customer may not order here.

        The customer is who is named as the buyer; when nobody is, the caller's organisation.

        Raises:
            Refused: `Code.FORBIDDEN`, naming offering, term and attribute; `Code.INVALID`, of too many.
        """
        own = () if caller.organization is None else (caller.organization,)
        await self._check(frozenset(_offerings(order)), frozenset(_buyers(order)) or frozenset(own))

    async def check_change(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Refuse a change after which an order is about what its customer may not order here.

        What was ordered before stays ordered, whatever its terms have become, unless the buyers change.

        Raises:
            Refused: As `check`.
        """
        ordered, buyers = frozenset(_offerings(after)), frozenset(_buyers(after))
        if buyers == frozenset(_buyers(before)):
            ordered -= frozenset(_offerings(before))
        await self._check(ordered, buyers)

    async def _check(self, ids: frozenset[str], customers: frozenset[str]) -> None:
        if not ids:
            return
        entities = await self._entities(ids)
        bundled = frozenset(one for entity in entities for one in _bundled(entity)) - ids
        entities += await self._entities(bundled) if bundled else []
        restricting = [one for one in entities if _MENTIONED in one.body]
        if not restricting:
            return
        now = rfc3339(self._context.clock.now())
        ordering = Ordering(self._context.identifiers.did, customers, now)
        for entity in sorted(restricting, key=lambda one: one.id):
            fields = msgspec.json.decode(entity.body)
            unmet = unmet_term(fields, ordering)
            if unmet is not None:
                raise Refused(Code.FORBIDDEN, f"{entity.id} may not be ordered: {unmet}.")

    async def _entities(self, ids: frozenset[str]) -> list[Entity]:
        if len(ids) > OFFERINGS_MAX:
            raise Refused(Code.INVALID, f"An order is about at most {OFFERINGS_MAX} offerings.")
        return [*(await self._context.store.entities(sorted(ids))).values()]


def _offerings(order: Mapping[str, Any]) -> Iterator[str]:
    """Identifiers of what an order names."""
    todo = [order]
    while todo:
        current = todo.pop()
        offering = current.get("productOffering")
        if isinstance(offering, dict) and isinstance(offering.get("id"), str):
            yield offering["id"]
        for name in ("productOrderItem", "orderItem"):
            items = current.get(name)
            todo += [one for one in items if isinstance(one, dict)] if isinstance(items, list) else []


def _bundled(offering: Entity) -> Iterator[str]:
    fields = msgspec.json.decode(offering.body)
    bundled = fields.get("bundledProductOffering")
    for one in bundled if isinstance(bundled, list) else ():
        if isinstance(one, dict) and isinstance(one.get("id"), str):
            yield one["id"]


def _buyers(order: Mapping[str, Any]) -> Iterator[str]:
    """Identifiers of the organisations that an order names as buyers; as they are, where they are no DIDs."""
    parties = order.get("relatedParty")
    for one in parties if isinstance(parties, list) else ():
        if isinstance(one, dict) and role_of(one) in BUYER_ROLES:
            texts = [text for text in (one.get("id"), one.get("name")) if isinstance(text, str)]
            dids = [text.removeprefix(ELSI_PREFIX) for text in texts if text.startswith(ELSI_PREFIX)]
            yield from dids or texts[:1]
