"""The pages of those who offer something, with recorded content that shows every state."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

import msgspec

from hansa.core.access import Caller
from hansa.core.errors import Code, Refused
from hansa.portal import Frame
from hansa.portal.frame.people import People
from hansa.portal.providers.offers.elsewhere.sights import (
    LedgerVersion,
    MemberSight,
    SightState,
    VersionHistory,
)
from hansa.portal.providers.offers.entity import EditingLinks, EntityLinks, FormLinks
from hansa.portal.providers.offers.launching import LaunchCondition
from hansa.portal.providers.offers.orders import OrderItem, OrderPage, SellerOrder, StateCount
from hansa.portal.providers.offers.own import (
    KINDS,
    ChangeAction,
    Kind,
    KindCount,
    OwnEntity,
    OwnPage,
    OwnPublication,
    OwnQuery,
    PublicationProblem,
    Stage,
)
from hansa.portal.providers.offers.routes import OfferPages
from tests.support.acts import RecordedActs

MOMENT: Final = "2026-11-28T10:00:00.000Z"
DRAFT: Final = "urn:ngsi-ld:product-offering:11111111-1111-4111-8111-111111111111"
NEEDED: Final = "urn:ngsi-ld:product-specification:22222222-2222-4222-8222-222222222222"
SOLD: Final = "urn:ngsi-ld:product-offering:33333333-3333-4333-8333-333333333333"
READY: Final = "urn:ngsi-ld:product-offering:44444444-4444-4444-8444-444444444444"
REFUSED: Final = "urn:ngsi-ld:product-offering:55555555-5555-4555-8555-555555555555"
ORDER: Final = "urn:ngsi-ld:product-order:66666666-6666-4666-8666-666666666666"


def _entity(
    entity_id: str, name: str, status: str, publication: OwnPublication, *actions: ChangeAction
) -> OwnEntity:
    stage: Stage = "launched" if status == "Launched" else "draft"
    return OwnEntity(
        *(
            entity_id,
            "ProductOffering",
            name,
            status,
            stage,
            "hl:zQmV1",
            MOMENT,
            stage == "launched",
            publication,
        ),
        actions=actions,
    )


class RecordedCatalogue:
    """An own catalogue in memory, of whoever looks."""

    def __init__(self) -> None:
        refused = OwnPublication(
            "refused", 0, "event-too-large", "The event has more bytes than the league takes."
        )
        everything = (
            _entity(
                DRAFT, "Object storage, 10 TB", "In design", OwnPublication("private"), "launch", "delete"
            ),
            _entity(READY, "Backup every night", "Active", OwnPublication("private"), "launch", "delete"),
            _entity(
                SOLD,
                "Virtual machine, small",
                "Launched",
                OwnPublication("announced", 3),
                "retire",
                "withdraw",
                "delete",
            ),
            _entity(REFUSED, "Everything at once", "Launched", refused, "retire", "withdraw", "delete"),
        )
        self._entities = {one.id: one for one in everything}

    async def counts(self, caller: Caller) -> tuple[KindCount, ...]:
        del caller
        return tuple(
            KindCount(kind, 2, 2, 0) if kind == KINDS[0] else KindCount(kind, 0, 1, 12) for kind in KINDS
        )

    async def page(self, caller: Caller, requested: OwnQuery) -> OwnPage:
        del caller
        if requested.kind != KINDS[0]:
            return OwnPage(())
        return OwnPage(tuple(self._entities.values()), "WyJhIiwiYiJd")

    async def one(self, caller: Caller, entity_id: str) -> OwnEntity:
        del caller
        if entity_id not in self._entities:
            raise Refused(Code.NOT_FOUND, f"Nothing of yours is here under {entity_id!r}.")
        return self._entities[entity_id]

    async def problems(self, caller: Caller) -> tuple[PublicationProblem, ...]:
        del caller
        return PublicationProblem(self._entities[REFUSED]), PublicationProblem(self._entities[SOLD], NEEDED)

    async def refusal(self, caller: Caller, action: ChangeAction, entity_id: str) -> str:
        del caller, action, entity_id
        return ""

    async def conditions(self, caller: Caller, entity_id: str) -> tuple[LaunchCondition, ...]:
        del caller
        is_draft = entity_id == DRAFT
        return (
            LaunchCondition("right", True),
            LaunchCondition("status", True),
            LaunchCondition(
                "content", not is_draft, detail="productOfferingPrice[0].id: is missing" if is_draft else ""
            ),
            LaunchCondition("need", not is_draft, True, NEEDED, "It is not public here." if is_draft else ""),
            LaunchCondition("visibility", True, False),
            LaunchCondition("rule", True, False),
            LaunchCondition("identifier", True, False),
            LaunchCondition(
                "period", not is_draft, False, detail="Its validity begins at 2027-01-01." if is_draft else ""
            ),
        )

    async def content(self, caller: Caller, entity_id: str) -> bytes:
        return msgspec.json.encode({"name": (await self.one(caller, entity_id)).name, "isBundle": False})

    async def change(self, caller: Caller, action: ChangeAction, entity_id: str, version: str) -> None:
        entity = await self.one(caller, entity_id)
        if version != entity.version:
            raise Refused(Code.PRECONDITION_FAILED, "It stands at another version.")
        if action == "launch" and entity_id == DRAFT:
            raise Refused(Code.INVALID, "productOfferingPrice[0].id: is missing.")
        status: dict[ChangeAction, str] = {"launch": "Launched", "retire": "Retired", "withdraw": "Active"}
        if action == "delete":
            del self._entities[entity_id]
            return
        self._entities[entity_id] = msgspec.structs.replace(
            entity, status=status[action], actions=("delete",)
        )


class RecordedSights:
    """A league in which members are in every state; by default of any entity.

    Args:
        here: What was announced as the first version.
    """

    def __init__(self, here: bytes = b'{"name": "Object storage", "version": "1.0"}') -> None:
        self.here = here
        self.requested: list[tuple[str, ...]] = []

    async def holders(self, entity_ids: Sequence[str], wait_s: float) -> dict[str, tuple[MemberSight, ...]]:
        del wait_s
        self.requested.append(tuple(entity_ids))
        states: tuple[tuple[str, SightState, str], ...] = (
            ("bergen", "current", ""),
            ("riga", "kept-out", "condition-unmet"),
            ("bruges", "silent", "unavailable"),
        )
        sights = tuple(
            MemberSight(
                *(f"did:web:{name}.example", name, f"https://{name}.example", state),
                version=3 if state == "current" else 0,
                since=MOMENT if state == "current" else "",
                code=code,
                served=MOMENT if state == "silent" else "",
            )
            for name, state, code in states
        )
        return dict.fromkeys(entity_ids, sights)

    async def history(self, entity_id: str) -> tuple[VersionHistory, dict[int, bytes]]:
        del entity_id
        changed = LedgerVersion(
            3, "productOfferingAttributeValueChangeEvent", 40, 12, MOMENT, "Launched", True
        )
        created = LedgerVersion(1, "productOfferingCreateEvent", 7, 3, MOMENT, "Launched", False)
        return VersionHistory((changed, created)), {3: self.here}


RECORDED_ORDER: Final = SellerOrder(
    *(ORDER, "acknowledged", MOMENT, "City Works", "hl:zQmV1"),
    items=(OrderItem("1", "add", 3, "acknowledged", SOLD, "Virtual machine, small"),),
    following=("inProgress", "held", "completed", "rejected"),
    description="For the new office.",
    notes=("Please before Christmas.",),
)


class RecordedOrders:
    """Orders of whoever looks."""

    async def waiting(self, caller: Caller) -> tuple[StateCount, ...]:
        del caller
        return StateCount("acknowledged", 2), StateCount("inProgress", 11)

    async def page(self, caller: Caller, state: str, after: str) -> OrderPage:
        del caller, after
        return OrderPage((RECORDED_ORDER,) if state in {"", "acknowledged"} else ())

    async def one(self, caller: Caller, order_id: str) -> SellerOrder:
        del caller
        if order_id != ORDER:
            raise Refused(Code.NOT_FOUND, "No order of yours is here.")
        return RECORDED_ORDER

    async def refusal(self, caller: Caller, order_id: str) -> str:
        del caller, order_id
        return ""

    async def change(self, caller: Caller, order_id: str, state: str, version: str) -> None:
        del caller, order_id, state, version


def links_of(kind: Kind, entity_id: str) -> EntityLinks:
    """Where an entity is edited."""
    path = f"/provider/entities/{entity_id}"
    return EntityLinks(f"{path}/edit", f"{path}/visibility", f"/provider/new/{kind}?copy={entity_id}")


LINKS: Final = EditingLinks(
    FormLinks(
        "/provider/new/offering",
        "/provider/new/price",
        "/provider/new/specification",
        "/provider/drafts",
        "/provider/import",
    ),
    links_of,
)


def recorded_offers(frame: Frame, people: People) -> OfferPages:
    """The pages."""
    entropy = random.Random(7).randbytes
    recorded = RecordedCatalogue(), RecordedOrders(), RecordedSights(), RecordedActs()
    return OfferPages(frame, people, *recorded, entropy, LINKS)
