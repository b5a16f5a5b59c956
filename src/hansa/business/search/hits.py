"""How hits are shown: with the names and prices of what they refer to, and with what matches marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hansa.business.search.folding import (
    Fields,
    Folded,
    facet_values,
    lowest,
    name_of,
    prices_of,
    provider_of,
    references,
    text_of,
)
from hansa.business.search.highlighting import Highlighter
from hansa.business.search.results import Hit, Named
from hansa.core.characteristics import labels_of, regions_of
from hansa.store import Entity

Reference = tuple[str, str]
"""Identifier and name, as the entity has it."""


class MatchedEntity(NamedTuple):
    """An entity that matches, and what it refers to."""

    fields: Fields
    provider: Reference | None
    categories: tuple[Reference, ...]
    specifications: tuple[Reference, ...]
    prices: tuple[Reference, ...]

    @property
    def referred(self) -> tuple[str, ...]:
        """Identifiers of what is needed to show it."""
        named = (*self.categories, *self.prices, *self.specifications)
        ids = tuple(id for id, _ in named)
        return ids if self.provider is None else (self.provider[0], *ids)


def matched_entity(fields: Fields) -> MatchedEntity:
    """What is shown of the entity with these fields, before what it refers to has been read."""
    return MatchedEntity(
        fields,
        provider_of(fields),
        references(fields, "category"),
        references(fields, "productSpecification"),
        references(fields, "productOfferingPrice"),
    )


def hit_of(
    entity: Entity, matched: MatchedEntity, href: str, named: Mapping[str, Folded], highlighter: Highlighter
) -> Hit:
    """A hit.

    Args:
        entity: What matches.
        matched: The same, as whoever asks may see it.
        href: Where it is served.
        named: What it refers to, as far as that is public.
        highlighter: Marks what matches.
    """
    fields = matched.fields
    specification = next((named[id] for id, _ in matched.specifications if id in named), None)
    provider = matched.provider or (specification.provider if specification is not None else None)
    description = text_of(fields, "description")
    return Hit(
        entity.id,
        entity.type,
        href,
        highlighter.whole(name_of(fields)),
        highlighter.excerpt(description) if description else None,
        None if provider is None else _named(named, provider),
        tuple(_named(named, one) for one in matched.categories),
        lowest(prices_of(fields, named)) if "productOfferingPrice" in fields else None,
        text_of(fields, "lifecycleStatus") or None,
        entity.origin,
        _merged(facet_values(labels_of(fields)), specification.labels if specification is not None else ()),
        _merged(facet_values(regions_of(fields)), specification.regions if specification is not None else ()),
        text_of(fields, "lastUpdate") or entity.modified,
        entity.public,
    )


def _named(named: Mapping[str, Folded], reference: Reference) -> Named:
    id, name = reference
    known = named.get(id)
    return Named(id, (known.name if known is not None else "") or name or id)


def _merged(own: Sequence[str], further: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*own, *further)))
