"""How customers will see what somebody is writing: the page of an offering, made from a draft.

    /provider/drafts/{id}/preview

A price and a specification are shown in an offering that has nothing else.
"""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.portal.catalogue.fields import Fields, text_in
from hansa.portal.catalogue.offering.page import offering_of
from hansa.portal.catalogue.offering.prices import preview, quantities_in, unusable
from hansa.portal.catalogue.origins import KnownOrigins, Provenance
from hansa.portal.catalogue.reading import CatalogueReads
from hansa.portal.frame import Frame
from hansa.portal.frame.people import People, Role, Visit, page_for
from hansa.portal.providers.editing.choosing import OfferedChoices
from hansa.portal.providers.editing.forms.building import built, new_entity
from hansa.portal.providers.editing.forms.kinds import (
    OFFERING_FORM,
    PRICE_FORM,
    REVIEW,
    FormKind,
    kind_named,
)
from hansa.portal.providers.editing.interfaces import FormDrafts
from hansa.portal.providers.editing.pages import PreviewPage
from hansa.portal.providers.editing.wizard import DRAFTS, owner_of


class PreviewPages:
    """The handler of this path.

    Args:
        frame: Makes pages.
        people: Knows who is logged in.
        reads: What a draft refers to.
        origins: Knows what this marketplace is called.
        drafts: What was begun.
        choices: What an offering can refer to.
    """

    def __init__(
        self,
        frame: Frame,
        people: People,
        reads: CatalogueReads,
        origins: KnownOrigins,
        drafts: FormDrafts,
        choices: OfferedChoices,
    ) -> None:
        self._frame = frame
        self._people = people
        self._reads = reads
        self._origins = origins
        self._drafts = drafts
        self._choices = choices

    def routes(self) -> list[BaseRoute]:
        """The one."""
        return [Route(f"{DRAFTS}/{{id}}/preview", page_for(self._people, Role.PROVIDER, self.preview))]

    async def preview(self, visit: Visit) -> Response:
        """`GET /provider/drafts/{id}/preview`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        draft = await self._drafts.one(visit.caller, visit.request.path_params["id"])
        kind = kind_named(draft.kind)
        choices = await self._choices.of(visit.caller, kind, draft.base)
        made = built(kind, draft.values, draft.base, choices.names())
        fields = as_offering(kind, new_entity(made.fields, owner_of(visit.person)), draft.entity)
        quantities = quantities_in(visit.request.query_params)
        offering = await offering_of(self._reads, visit.caller, draft.entity or draft.id, fields, quantities)
        here = f"{DRAFTS}/{draft.id}"
        offering = msgspec.structs.replace(offering, path=f"{here}/preview")
        page = PreviewPage(
            offering=offering,
            provenance=Provenance(self._origins.name(None), "", None, is_own=True, announced=None),
            history=(),
            alike=(),
            totals=preview(offering.plans),
            unusable=unusable(offering.plans),
            canonical="",
            structured={},
            api="",
            is_favourite=None,
            pictures=(),
            back=f"{here}/{REVIEW}",
        )
        return self._frame.negotiated(visit.request, "editing/preview.html", page)


def as_offering(kind: FormKind, entity: Fields, entity_id: str) -> Fields:
    """An entity of any form as an offering that shows it."""
    if kind is OFFERING_FORM:
        return entity
    shown: dict[str, Any] = {
        name: entity[name] for name in ("name", "lifecycleStatus", "relatedParty") if name in entity
    }
    if kind is PRICE_FORM:
        return {**shown, "productOfferingPrice": [{**entity, "id": entity_id or text_in(entity, "name")}]}
    about = {name: entity[name] for name in ("description", "version", "attachment") if name in entity}
    return {**shown, **about, "prodSpecCharValueUse": entity.get("productSpecCharacteristic", [])}
