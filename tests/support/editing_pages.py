"""The forms of providers as screens: with drafts that are there from the beginning."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.routing import BaseRoute

from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import epoch_s
from hansa.portal import Frame
from hansa.portal.frame.people import People
from hansa.store import EntityDraft
from hansa.store.tables.editing import drafts
from hansa.store.tables.editing.drafts import FormDraftRow
from tests.support.business import Business
from tests.support.provider_site import form_routes, running_jobs
from tests.support.rights import RightsBusiness, party

SUBJECT = "urn:subject:ada"
EDITED = "urn:ngsi-ld:product-offering:of-ada"
DRAFT = "draft-of-"
"""Identifiers of drafts begin so; their kind follows, or `changed`."""
EDITING_SCREENS: Final = {
    "new-offering": "/provider/new/offering",
    "drafts": "/provider/drafts",
    "characteristics-of-draft": "/provider/drafts/draft-of-specification/characteristics",
    "price-of-draft": "/provider/drafts/draft-of-price/amount",
    "contents-of-draft": "/provider/drafts/draft-of-offering/contents",
    "terms-of-draft": "/provider/drafts/draft-of-offering/terms",
    "review-of-draft": "/provider/drafts/draft-of-price/review",
    "preview-of-draft": "/provider/drafts/draft-of-offering/preview",
    "conflict-of-draft": "/provider/drafts/draft-of-changed/conflict",
    "visibility": f"/provider/entities/{EDITED}/visibility?audience=chosen&country=LV&country=NO",
    "visibility-of-several": f"/provider/visibility?pick={EDITED}&pick=none&audience=chosen&country=LV",
    "import": "/provider/import",
    "discard-draft": "/provider/drafts/draft-of-offering/discard",
}


def editing_pages(frame: Frame, people: People, business: Business) -> list[BaseRoute]:
    """Their routes."""
    return form_routes(
        frame, people, RightsBusiness(business, {}, lambda *_: None), running_jobs(business.clock)
    )


async def add_drafts(business: Business) -> None:
    """Drafts of forms, and an offering that one of them changes and somebody else has changed."""
    entity = {
        "id": EDITED,
        "@type": "ProductOffering",
        "name": "Port calls",
        "lifecycleStatus": "In design",
        "description": "As the ship comes.",
        "relatedParty": [party("VATES-1")],
    }
    body = canonical_json(entity)
    content: dict[str, dict[str, tuple[str, ...]]] = {
        "specification": {
            "name": ("Crane",),
            "characteristics.0.name": ("Load",),
            "characteristics.0.values": ("40\n60",),
        },
        "price": {
            "name": ("By the container",),
            "model": ("usage",),
            "amount": ("many",),
            "currency": ("EUX",),
        },
        "offering": {
            "name": ("Harbour",),
            "description": ("# Berths\n\nFor *all* ships.",),
            "terms.0.name": ("Yearly",),
        },
        "changed": {"name": ("Calls at port",), "description": ("As the ship leaves.",)},
    }
    now_s = epoch_s(business.clock)
    async with business.store.transaction() as tx:
        await tx.put(EntityDraft(EDITED, "ProductOffering", body, hashlink(body), public=False))
        for name, values in content.items():
            is_change = name == "changed"
            base = {"name": "Port", "description": "As the ship comes."} if is_change else {}
            row = FormDraftRow(
                *(DRAFT + name, SUBJECT, "offering" if is_change else name, EDITED if is_change else ""),
                *("hl:before" if is_change else "", msgspec.json.encode(base), msgspec.json.encode(values)),
                *(now_s, now_s),
            )
            await drafts.save(tx, row)
