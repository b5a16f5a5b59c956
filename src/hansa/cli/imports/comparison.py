"""Compares an entity of a file with the one at a marketplace; the difference is a merge patch (RFC 7396).

Left out of the comparison is what the marketplace sets: `href`, time stamps, and, where the file does not
mention them, the lifecycle status and defaults. A null and an absent attribute are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hansa.business.models import Models
from hansa.core.canonical import canonical_json

NEVER_COMPARED: Final = frozenset({"id", "href", "lastUpdate"})


def changes_between(
    models: Models, type_name: str, current: Mapping[str, Any], target: Mapping[str, Any]
) -> dict[str, Any]:
    """The merge patch from the entity at a marketplace to the one of a file; empty when they are equal."""
    api, resource = models.served(type_name)
    attributes = api.attributes_of(resource.type)
    ignored = NEVER_COMPARED | {*resource.stamped_on_create, *resource.stamped_on_write}
    after = {name: value for name, value in target.items() if name not in ignored}
    before = {}
    for name, value in current.items():
        if name in ignored:
            continue
        if name not in after:
            attribute = attributes.get(name)
            is_default = (
                attribute is not None and attribute.on_create is not None and attribute.on_create == value
            )
            if name == resource.status_attribute or is_default:
                continue
        before[name] = value
    return merge_patch_between(before, after)


def merge_patch_between(current: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest merge patch from one object to another: `merge_patch(current, patch)` equals `target`."""
    patch: dict[str, Any] = {}
    for name in current.keys() - target.keys():
        if current[name] is not None:
            patch[name] = None
    for name, value in target.items():
        before = current.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            inner = merge_patch_between(before, value)
            if inner:
                patch[name] = inner
        elif not _is_same(before, value):
            patch[name] = value
    return patch


def _is_same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return canonical_json(one) == canonical_json(other)
