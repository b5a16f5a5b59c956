"""The context of an offering's page, made from the offering and what it refers to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from hansa.business.search.results import Named
from hansa.core.access import Caller
from hansa.portal.catalogue.fields import (
    NO_FIELDS,
    Fields,
    fields_in,
    items_in,
    named,
    number_in,
    path_of,
    references_in,
    text_in,
)
from hansa.portal.catalogue.offering.characteristics import (
    Characteristic,
    ComplianceLabel,
    characteristics,
    labels,
)
from hansa.portal.catalogue.offering.prices import (
    PreviewTotal,
    PricePlan,
    UnusableQuantity,
    component_references,
    price_plans,
    price_references,
)
from hansa.portal.catalogue.origins import AnnouncedVersion, Provenance
from hansa.portal.catalogue.pictures.loading import ShownPicture
from hansa.portal.catalogue.reading import OFFERING, PRICE, SPECIFICATION, CatalogueReads
from hansa.store import Filter, Query

PROVIDER_ROLES: Final = ("seller", "provider", "owner")
"""Of related parties; the first that there is, is the provider."""
ALIKE_MAX: Final = 6


class OfferingTerm(msgspec.Struct, frozen=True):
    """A condition under which something is offered."""

    name: str
    description: str
    duration_amount: float | None
    duration_unit: str


class OfferedSpecification(msgspec.Struct, frozen=True):
    """What is offered, technically."""

    id: str
    name: str
    description: str
    brand: str
    number: str
    version: str
    is_here: bool
    """Whether the marketplace has it, or only the reference to it."""


class OfferingAttachment(msgspec.Struct, frozen=True):
    """A document that goes with an offering; it is linked, and never loaded."""

    name: str
    address: str
    description: str
    media_type: str


class RelatedOffering(msgspec.Struct, frozen=True):
    """Another offering that an offering names."""

    kind: str
    """As the entity says it; `bundled` for parts of a bundle."""
    id: str
    name: str


class Offering(msgspec.Struct, frozen=True):
    """An offering as a person judges it."""

    id: str
    path: str
    name: str
    description: str
    """Markdown."""
    status: str
    version: str
    updated: str
    valid_until: str
    provider: Named | None
    categories: tuple[Named, ...]
    plans: tuple[PricePlan, ...]
    characteristics: tuple[Characteristic, ...]
    labels: tuple[ComplianceLabel, ...]
    regions: tuple[str, ...]
    specification: OfferedSpecification | None
    services: tuple[Named, ...]
    """Candidates of services and resources that it is realised by."""
    terms: tuple[OfferingTerm, ...]
    agreements: tuple[Named, ...]
    service_level: Named | None
    attachments: tuple[OfferingAttachment, ...]
    related: tuple[RelatedOffering, ...]


class OfferingPage(msgspec.Struct, frozen=True):
    """For the template `offering.html`."""

    offering: Offering
    provenance: Provenance
    history: tuple[AnnouncedVersion, ...]
    alike: tuple[Named, ...]
    """Others of the same category."""
    totals: tuple[PreviewTotal, ...]
    unusable: tuple[UnusableQuantity, ...]
    canonical: str
    """Address of the page at the origin."""
    structured: Mapping[str, Any]
    """JSON-LD (`structured`); empty for what is not for everybody."""
    api: str
    """Path of the entity in the TM Forum API."""
    is_favourite: bool | None
    """Of whoever is logged in; None: nobody is."""
    pictures: tuple[ShownPicture, ...]


async def offering_of(
    reads: CatalogueReads,
    caller: Caller,
    entity_id: str,
    fields: Fields,
    quantities: Mapping[str, str] | None = None,
) -> Offering:
    """An offering with what it refers to, as far as that is here and the caller may see it."""
    reference = fields_in(fields, "productSpecification")
    specification_id = text_in(reference, "id")
    specification = NO_FIELDS
    if specification_id:
        specifications = await reads.some(caller, SPECIFICATION, (specification_id,))
        specification = specifications.get(specification_id, NO_FIELDS)
    prices = await reads.some(caller, PRICE, price_references(fields))
    prices |= await reads.some(caller, PRICE, component_references(prices.values()))
    return Offering(
        id=entity_id,
        path=path_of("offerings", entity_id),
        name=text_in(fields, "name") or entity_id,
        description=text_in(fields, "description"),
        status=text_in(fields, "lifecycleStatus"),
        version=text_in(fields, "version"),
        updated=text_in(fields, "lastUpdate"),
        valid_until=text_in(fields_in(fields, "validFor"), "endDateTime"),
        provider=provider_in(fields) or provider_in(specification),
        categories=references_in(fields, "category"),
        plans=price_plans(fields, prices, quantities or {}),
        characteristics=characteristics(fields, specification),
        labels=labels(fields, specification),
        regions=tuple(one.name for one in references_in(fields, "place")),
        specification=_specification(reference, specification),
        services=tuple(_single(fields, ("serviceCandidate", "resourceCandidate"))),
        terms=tuple(map(_term, items_in(fields, "productOfferingTerm"))),
        agreements=references_in(fields, "agreement"),
        service_level=next(iter(_single(fields, ("serviceLevelAgreement",))), None),
        attachments=(*attachments_of(fields), *attachments_of(specification)),
        related=(
            *_related(items_in(fields, "bundledProductOffering"), "bundled"),
            *_related(items_in(fields, "productOfferingRelationship"), ""),
        ),
    )


async def alike(reads: CatalogueReads, caller: Caller, category: str) -> tuple[Named, ...]:
    """Some offerings of a category: one more than are shown beside one of them."""
    of_category = Filter(("category", "id"), (category,))
    launched = Filter(("lifecycleStatus",), ("Launched",))
    query = Query(OFFERING, (of_category, launched), limit=ALIKE_MAX + 1)
    others, _ = await reads.page(caller, query)
    return tuple(map(named, others))


def provider_in(fields: Fields) -> Named | None:
    """Who provides something, by its related parties."""
    parties = items_in(fields, "relatedParty")
    for role in PROVIDER_ROLES:
        for party in parties:
            if text_in(party, "role").lower() == role and text_in(party, "id"):
                return named(party)
    return None


def _specification(reference: Fields, specification: Fields) -> OfferedSpecification | None:
    if not reference:
        return None
    return OfferedSpecification(
        id=text_in(reference, "id"),
        name=text_in(specification, "name") or text_in(reference, "name") or text_in(reference, "id"),
        description=text_in(specification, "description"),
        brand=text_in(specification, "brand"),
        number=text_in(specification, "productNumber"),
        version=text_in(specification, "version") or text_in(reference, "version"),
        is_here=bool(specification),
    )


def _single(fields: Fields, names: Iterable[str]) -> Iterable[Named]:
    for name in names:
        one = fields_in(fields, name)
        if text_in(one, "id") or text_in(one, "name"):
            yield named(one)


def _term(fields: Fields) -> OfferingTerm:
    duration = fields_in(fields, "duration")
    return OfferingTerm(
        text_in(fields, "name"),
        text_in(fields, "description"),
        number_in(duration, "amount"),
        text_in(duration, "units"),
    )


def attachments_of(fields: Fields) -> Iterable[OfferingAttachment]:
    """The documents that an entity names."""
    for one in items_in(fields, "attachment"):
        address = text_in(one, "url") or text_in(one, "href")
        if address:
            yield OfferingAttachment(
                text_in(one, "name") or text_in(one, "attachmentType"),
                address,
                text_in(one, "description"),
                text_in(one, "mimeType"),
            )


def _related(references: Iterable[Fields], kind: str) -> Iterable[RelatedOffering]:
    for one in references:
        entity_id = text_in(one, "id")
        if entity_id:
            shown = kind or text_in(one, "relationshipType") or text_in(one, "role")
            yield RelatedOffering(shown, entity_id, text_in(one, "name") or entity_id)
