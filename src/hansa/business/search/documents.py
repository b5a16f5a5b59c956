"""Entities become documents of the search index.

An offering's document has its own name and description, and of its specification, categories (with those
above them), prices and provider what `folding` says. Other catalogue types have documents too, which come
after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from hansa.business.search.analysis import compound_forms, forms_of, language_of, words_of
from hansa.business.search.folding import (
    ANCESTORS_MAX,
    VALUE_MAX_CHARS,
    Fields,
    Find,
    Folded,
    characteristic_words,
    facet_values,
    lowest,
    name_of,
    parties_of,
    prices_of,
    provider_of,
    references,
    text_of,
)
from hansa.business.search.results import FacetName
from hansa.core.characteristics import labels_of, regions_of
from hansa.core.clock import milliseconds_of
from hansa.core.instants import moment
from hansa.store import Entity
from hansa.store.search.records import ABOVE, FacetOf, SearchDocument

KINDS: Final = (
    *(
        "ProductOffering",
        "ProductSpecification",
        "Category",
        "Catalog",
        "ProductOfferingPrice",
        "Organization",
    ),
    *("Promotion", "ServiceSpecification", "ResourceSpecification"),
)
"""In the order in which hits are shown; what is not named comes last."""
NAME_WORDS_MAX: Final = 64
RELATED_WORDS_MAX: Final = 400
TEXT_WORDS_MAX: Final = 2000
HERE: Final = "here"
"""As the origin of what is not a replica."""
PARTY: Final = "party"
"""A facet that is not shown: who is related, which decides who finds what is private."""
PRICE_BOUNDS: Final = (0, 10, 100, 1000, 10_000)
"""Between the ranges of prices."""


def kind_of(collection: str) -> int:
    """The rank of a type."""
    return KINDS.index(collection) if collection in KINDS else len(KINDS)


def price_range(amount: float) -> str:
    """The range that an amount is in, as `10-100`; the upper bound is not part of it."""
    if amount <= 0:
        return "0"
    above = [bound for bound in PRICE_BOUNDS if bound > amount]
    below = max(bound for bound in PRICE_BOUNDS if bound <= amount)
    return f"{below}-{above[0]}" if above else f"{below}-"


def targets_of(collection: str, fields: Fields) -> tuple[str, ...]:
    """Identifiers of entities that may be folded into the document of this one."""
    ids = [id for id, _ in references(fields, "category")]
    if collection == "ProductOffering":
        ids += [
            id
            for attribute in ("productSpecification", "productOfferingPrice")
            for id, _ in references(fields, attribute)
        ]
    provider = provider_of(fields)
    parent = text_of(fields, "parentId") if collection == "Category" else ""
    return tuple(dict.fromkeys((*ids, *([provider[0]] if provider else []), *([parent] if parent else []))))


def further_targets(folded: Iterable[Folded]) -> set[str]:
    """What has to be known of what is folded in: categories above, who offers a specification."""
    targets = {one.parent for one in folded if one.parent is not None}
    return targets | {one.provider[0] for one in folded if one.provider is not None}


def document_of(entity: Entity, fields: Fields, find: Find) -> SearchDocument:
    """The document of an entity.

    Args:
        entity: As it is stored.
        fields: Its public part.
        find: What is folded in of public entities, by identifier.
    """
    is_offering = entity.type == "ProductOffering"
    specification = _specification(fields, find) if is_offering else None
    categories = _categories(entity, fields, find)
    provider = provider_of(fields) or (specification.provider if specification is not None else None)
    prices = prices_of(fields, find) if is_offering else ()
    related = [
        *(find[id].name if id in find else name for id, name in references(fields, "category")),
        *(find[id].name for id in categories if id in find),
        *([_provider_name(provider, find)] if provider else []),
        *(price.model for price in prices),
        *characteristic_words(fields),
        *([specification.name, *specification.words] if specification is not None else []),
    ]
    price = lowest(prices)
    labels = _labels(fields, provider, categories, find)
    return SearchDocument(
        entity.id,
        kind_of(entity.type),
        entity.public,
        _columns(name_of(fields), related, text_of(fields, "description")),
        name_of(fields),
        _facets(entity, fields, specification, categories, provider, [one.model for one in prices], price),
        None if price is None else price.amount,
        updated_ms(entity, fields),
        tuple(
            dict.fromkeys(
                (*targets_of(entity.type, fields), *categories, *([provider[0]] if provider else []))
            )
        ),
        labels,
    )


def _specification(fields: Fields, find: Find) -> Folded | None:
    return next((find[id] for id, _ in references(fields, "productSpecification") if id in find), None)


def _categories(entity: Entity, fields: Fields, find: Find) -> tuple[str, ...]:
    """Identifiers of the categories of an entity, and of those above them; of a category, of itself too."""
    start = [entity.id] if entity.type == "Category" else [id for id, _ in references(fields, "category")]
    if entity.type == "Category":
        start += [text_of(fields, "parentId")]
    all_of: dict[str, None] = {}
    for each in start:
        category: str | None = each
        for _ in range(ANCESTORS_MAX):
            if not category or len(category) > VALUE_MAX_CHARS or category in all_of:
                break
            all_of[category] = None
            above = find.get(category)
            category = above.parent if above is not None else None
    return tuple(all_of)


def _provider_name(provider: tuple[str, str], find: Find) -> str:
    known = find.get(provider[0])
    return (known.name if known is not None else "") or provider[1]


def _labels(
    fields: Fields, provider: tuple[str, str] | None, categories: Sequence[str], find: Find
) -> tuple[tuple[str, str, str], ...]:
    """Texts of values of facets: names of entities that are here, else what a reference calls them."""
    labels: list[tuple[str, str, str]] = []
    if provider is not None and (name := _provider_name(provider, find)):
        labels.append(("provider", provider[0], name))
    named = dict(references(fields, "category"))
    for each in categories:
        name = find[each].name if each in find else named.get(each, "")
        if name:
            labels.append(("category", each, name[:VALUE_MAX_CHARS]))
        above = find[each].parent if each in find else None
        if above is not None and above in categories:
            labels.append((ABOVE, each, above))
    return tuple(labels)


def _facets(
    entity: Entity,
    fields: Fields,
    specification: Folded | None,
    categories: Sequence[str],
    provider: tuple[str, str] | None,
    models: Sequence[str],
    price: Any,
) -> tuple[FacetOf, ...]:
    further = specification or Folded("")
    values: dict[FacetName, Iterable[str]] = {
        "type": (entity.type,),
        "category": categories,
        "provider": (provider[0],) if provider is not None and len(provider[0]) <= VALUE_MAX_CHARS else (),
        "origin": (entity.origin or HERE,),
        "price_model": models,
        "price": (price_range(price.amount),) if price is not None and price.amount is not None else (),
        "status": facet_values((text_of(fields, "lifecycleStatus"),)),
        "compliance": (*facet_values(labels_of(fields)), *further.labels),
        "region": (*facet_values(regions_of(fields)), *further.regions),
    }
    shown = {(name, value) for name, several in values.items() for value in several}
    hidden = {(PARTY, each) for each in parties_of(fields)} if not entity.public else set()
    return tuple(sorted(shown | hidden))


def _columns(name: str, related: Iterable[str], text: str) -> tuple[str, ...]:
    name_words = words_of(name, NAME_WORDS_MAX)
    related_words = words_of(" . ".join(dict.fromkeys(filter(None, related))), RELATED_WORDS_MAX)
    text_words = words_of(text, TEXT_WORDS_MAX)
    language = language_of((*text_words, *name_words))
    name_forms = [*forms_of(name_words, language), *compound_forms(name, name_words)]
    return tuple(
        " ".join(words)
        for words in (
            [word.folded for word in name_words],
            list(dict.fromkeys(name_forms)),
            [word.folded for word in related_words],
            list(dict.fromkeys(forms_of(related_words, language))),
            [word.folded for word in text_words],
            forms_of(text_words, language),
        )
    )


def updated_ms(entity: Entity, fields: Fields) -> int:
    """When an entity was last changed, as it says, unless that is after it came here; since 1970."""
    came = _milliseconds(entity.modified)
    said = fields.get("lastUpdate")
    changed = _milliseconds(said) if isinstance(said, str) else came
    return changed if 0 < changed < came else came


def _milliseconds(text: str) -> int:
    at = moment(text)
    return 0 if at is None else milliseconds_of(at)


def decoded(body: bytes) -> Mapping[str, Any]:
    """The fields of a stored body."""
    fields: dict[str, Any] = msgspec.json.decode(body)
    return fields
