"""Who offers: an organisation, how to reach it, and what it offers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

import msgspec

from hansa.business.search.request import OFFSET_MAX
from hansa.business.search.results import SearchPage
from hansa.portal.catalogue.fields import Fields, fields_in, items_in, path_of, text_in
from hansa.portal.catalogue.origins import OriginCertificate, Provenance
from hansa.portal.catalogue.search_page import ShownHit

OFFERINGS_SHOWN: Final = 24
"""On a page."""


class ProviderContact(msgspec.Struct, frozen=True):
    """A way to reach an organisation."""

    kind: str
    """As the entity says it, `email`."""
    text: str


class ClaimedLabel(msgspec.Struct, frozen=True):
    """A compliance label that offerings of an organisation have."""

    name: str
    count: int
    """How many have it."""
    search: str
    """Path of the search for them."""


class ProviderPage(msgspec.Struct, frozen=True):
    """For the template `provider.html`."""

    id: str
    name: str
    legal_name: str
    kind: str
    status: str
    contacts: tuple[ProviderContact, ...]
    references: tuple[tuple[str, str], ...]
    """Kind and value of registrations and addresses elsewhere."""
    identifications: tuple[tuple[str, str], ...]
    """By which registers it is known, and who keeps each; as it says itself."""
    labels: tuple[ClaimedLabel, ...]
    """That it claims for its offerings; nobody verified them."""
    certificates: tuple[OriginCertificate, ...] | None
    """Of the marketplace that it comes from; None: the ledger does not say."""
    offerings: tuple[ShownHit, ...]
    """Those of this page."""
    first: int
    """Number of the first of them."""
    total: int
    previous: str | None
    next: str | None
    search: str
    """Path of the search in what it offers."""
    provenance: Provenance | None
    """None for an organisation that others name and that is not here."""


def provider_page(
    entity_id: str,
    fields: Fields,
    offerings: tuple[ShownHit, ...],
    result: SearchPage,
    provenance: Provenance | None,
    certificates: tuple[OriginCertificate, ...] | None,
) -> ProviderPage:
    """The page of an organisation, with those of its offerings that a search brought."""
    offset, total = result.offset, result.total
    path, following = path_of("providers", entity_id), offset + len(offerings)
    legal = text_in(fields, "name")
    return ProviderPage(
        id=entity_id,
        name=text_in(fields, "tradingName") or legal or entity_id,
        legal_name=legal,
        kind=text_in(fields, "organizationType"),
        status=text_in(fields, "status"),
        contacts=tuple(_contacts(fields)),
        references=tuple(
            (text_in(one, "externalReferenceType"), text_in(one, "name"))
            for one in items_in(fields, "externalReference")
            if text_in(one, "name")
        ),
        identifications=tuple(
            (text_in(one, "identificationId"), text_in(one, "issuingAuthority"))
            for one in items_in(fields, "organizationIdentification")
            if text_in(one, "identificationId")
        ),
        labels=tuple(
            ClaimedLabel(one.label, one.count, search_of(entity_id, compliance=one.value))
            for facet in result.facets
            if facet.name == "compliance"
            for one in facet.values
        ),
        certificates=certificates,
        offerings=offerings,
        first=offset + 1,
        total=total,
        previous=f"{path}?offset={max(0, offset - OFFERINGS_SHOWN)}" if offset else None,
        next=f"{path}?offset={following}" if offerings and following < min(total, OFFSET_MAX) else None,
        search=search_of(entity_id),
        provenance=provenance,
    )


def search_of(provider_id: str, **more: str) -> str:
    """Path of the search in what an organisation offers, with more values of facets."""
    return f"/search?{urlencode({'type': 'ProductOffering', 'provider': provider_id, **more})}"


def _contacts(fields: Fields) -> Iterable[ProviderContact]:
    for medium in items_in(fields, "contactMedium"):
        details = fields_in(medium, "characteristic")
        names = (
            "emailAddress",
            "phoneNumber",
            "street1",
            "street2",
            "postCode",
            "city",
            "stateOrProvince",
            "country",
        )
        parts = (text_in(details, name) for name in names)
        shown = ", ".join(part for part in parts if part)
        if shown:
            yield ProviderContact(text_in(medium, "mediumType"), shown)
