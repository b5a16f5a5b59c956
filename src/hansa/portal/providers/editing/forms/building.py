"""Entities to values of a form and back, by kind; and what of an entity changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hansa.portal.catalogue.fields import Fields, items_in, text_in
from hansa.portal.providers.editing.forms.kinds import DRAFT_STATES, OFFERING_FORM, PRICE_FORM, FormKind
from hansa.portal.providers.editing.forms.offerings import built_offering, offering_values
from hansa.portal.providers.editing.forms.prices import built_price, price_values
from hansa.portal.providers.editing.forms.specifications import built_specification, specification_values
from hansa.portal.providers.editing.forms.values import BuiltEntity, Values

NOT_COPIED: Final = frozenset(
    {"id", "href", "@schemaLocation", "lastUpdate", "lifecycleStatus", "relatedParty", "statusReason"}
    | {"version", "visibleTo", "validFor"}
)
"""What a copy does not have of the entity that it is made from."""


def values_of(kind: FormKind, entity: Fields) -> dict[str, tuple[str, ...]]:
    """What stands in the form of an entity."""
    if kind is OFFERING_FORM:
        return offering_values(entity)
    return price_values(entity) if kind is PRICE_FORM else specification_values(entity)


def built(kind: FormKind, values: Values, base: Fields, names: Mapping[str, str]) -> BuiltEntity:
    """The entity that a form says; what the form does not know stays as it is in `base`."""
    if kind is OFFERING_FORM:
        return built_offering(values, base, names)
    return built_price(values, base) if kind is PRICE_FORM else built_specification(values, base)


def new_entity(fields: Fields, owner: Fields | None) -> dict[str, Any]:
    """An entity before it is created: a draft, which belongs to somebody.

    Args:
        fields: From `built`.
        owner: The party that offers it; None: nobody in particular.
    """
    entity = dict(fields)
    entity.setdefault("lifecycleStatus", DRAFT_STATES[1])
    if owner is not None and not items_in(entity, "relatedParty"):
        entity["relatedParty"] = [{**owner, "role": "Owner"}, {**owner, "role": "Seller"}]
    return entity


def copied(entity: Fields, own_ids: frozenset[str]) -> dict[str, Any]:
    """What a copy begins with; prices are those of the one who copies alone."""
    fields = {name: content for name, content in entity.items() if name not in NOT_COPIED}
    prices = fields.get("productOfferingPrice")
    if prices is not None:
        own = [one for one in items_in(entity, "productOfferingPrice") if text_in(one, "id") in own_ids]
        fields.pop("productOfferingPrice")
        if own:
            fields["productOfferingPrice"] = own
    return fields


def merge_patch(before: Fields, after: Fields) -> dict[str, Any]:
    """The merge patch (RFC 7396) that makes one entity of another: what changed alone."""
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, content in after.items():
        if name not in before:
            patch[name] = content
        elif content != before[name]:
            known = before[name]
            both = isinstance(content, dict) and isinstance(known, dict)
            patch[name] = merge_patch(known, content) if both else content
    return patch
