"""A specification, a catalogue and a price, as a person reads them: what they say, and who uses them."""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.business.search.results import Named
from hansa.portal.catalogue.fields import Fields, references_in, text_in
from hansa.portal.catalogue.offering.characteristics import (
    Characteristic,
    ComplianceLabel,
    characteristics_of,
    labels_of_all,
)
from hansa.portal.catalogue.offering.page import OfferingAttachment, attachments_of, provider_in
from hansa.portal.catalogue.offering.prices import PricePlan, price_plans
from hansa.portal.catalogue.origins import Provenance
from hansa.portal.catalogue.search_page import ShownHit

RELATED: Final = (
    *("serviceSpecification", "resourceSpecification"),
    *("productSpecificationRelationship", "bundledProductSpecification"),
    *("serviceSpecRelationship", "resourceSpecRelationship"),
)
"""Attributes of specifications that refer to others."""


class SpecificationPage(msgspec.Struct, frozen=True):
    """For the template `catalogue/specification.html`."""

    id: str
    kind: str
    """Its type, as `ProductSpecification`."""
    name: str
    description: str
    """Markdown."""
    brand: str
    number: str
    version: str
    status: str
    updated: str
    provider: Named | None
    characteristics: tuple[Characteristic, ...]
    labels: tuple[ComplianceLabel, ...]
    related: tuple[Named, ...]
    """Other specifications that it names."""
    attachments: tuple[OfferingAttachment, ...]
    users: tuple[Named, ...]
    """What uses it: offerings, or specifications of products."""
    users_total: int
    users_are: str
    """Where the pages have them, `offerings` or `specifications`."""
    provenance: Provenance
    api: str
    """Path of the entity in the TM Forum API."""


class CatalogPage(msgspec.Struct, frozen=True):
    """For the template `catalogue/catalogue.html`."""

    id: str
    name: str
    description: str
    status: str
    updated: str
    provider: Named | None
    categories: tuple[Named, ...]
    offerings: tuple[ShownHit, ...]
    """Some of those in its categories."""
    total: int
    search: str
    """Path of the search in its categories."""
    provenance: Provenance
    api: str


class PricePage(msgspec.Struct, frozen=True):
    """For the template `catalogue/price.html`."""

    id: str
    name: str
    description: str
    status: str
    plans: tuple[PricePlan, ...]
    offerings: tuple[Named, ...]
    """Those that have this price."""
    total: int
    provenance: Provenance
    api: str


def related_of(fields: Fields) -> tuple[Named, ...]:
    """The specifications that a specification names, each once."""
    by_id: dict[str, Named] = {}
    for attribute in RELATED:
        for one in references_in(fields, attribute):
            by_id.setdefault(one.id, one)
    return tuple(by_id.values())


def specification_page(
    kind: str, fields: Fields, users: tuple[Named, ...], total: int, provenance: Provenance, api: str
) -> SpecificationPage:
    """The page of a specification."""
    return SpecificationPage(
        id=text_in(fields, "id"),
        kind=kind,
        name=text_in(fields, "name") or text_in(fields, "id"),
        description=text_in(fields, "description"),
        brand=text_in(fields, "brand"),
        number=text_in(fields, "productNumber"),
        version=text_in(fields, "version"),
        status=text_in(fields, "lifecycleStatus"),
        updated=text_in(fields, "lastUpdate"),
        provider=provider_in(fields),
        characteristics=characteristics_of(fields),
        labels=labels_of_all(fields),
        related=related_of(fields),
        attachments=tuple(attachments_of(fields)),
        users=users,
        users_total=total,
        users_are="offerings" if kind == "ProductSpecification" else "specifications",
        provenance=provenance,
        api=api,
    )


def catalogue_page(
    fields: Fields, hits: tuple[ShownHit, ...], total: int, search: str, provenance: Provenance, api: str
) -> CatalogPage:
    """The page of a catalogue."""
    return CatalogPage(
        id=text_in(fields, "id"),
        name=text_in(fields, "name") or text_in(fields, "id"),
        description=text_in(fields, "description"),
        status=text_in(fields, "lifecycleStatus"),
        updated=text_in(fields, "lastUpdate"),
        provider=provider_in(fields),
        categories=references_in(fields, "category"),
        offerings=hits,
        total=total,
        search=search,
        provenance=provenance,
        api=api,
    )


def price_page(
    fields: Fields,
    components: dict[str, Fields],
    offerings: tuple[Named, ...],
    total: int,
    provenance: Provenance,
    api: str,
) -> PricePage:
    """The page of a price; `components` are those that it consists of, by identifier."""
    of_price = {text_in(fields, "id"): fields, **components}
    plans = price_plans({"productOfferingPrice": [{"id": text_in(fields, "id")}]}, of_price, {})
    return PricePage(
        id=text_in(fields, "id"),
        name=text_in(fields, "name") or text_in(fields, "id"),
        description=text_in(fields, "description"),
        status=text_in(fields, "lifecycleStatus"),
        plans=plans,
        offerings=offerings,
        total=total,
        provenance=provenance,
        api=api,
    )
