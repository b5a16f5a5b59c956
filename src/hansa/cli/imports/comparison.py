"""Whether an entity of a file and one at a marketplace say the same, and the merge patch (RFC 7396) that makes them.

What the marketplace sets is not compared: `href`, the times it stamps, a lifecycle status and defaults that the file
does not mention. A null says the same as an absent attribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hansa.business.models import Models
from hansa.core.canonical import canonical_json

NEVER_COMPARED: Final = frozenset({"id", "href", "lastUpdate"})


def changes_between(
    models: Models, type_name: str, found: Mapping[str, Any], wanted: Mapping[str, Any]
) -> dict[str, Any]:
    """The merge patch that turns what a marketplace has into what a file says; empty when they say the same."""
    api, resource = models.served(type_name)
    attributes = api.attributes_of(resource.type)
    ignored = NEVER_COMPARED | {*resource.stamped_on_create, *resource.stamped_on_write}
    told = {name: value for name, value in wanted.items() if name not in ignored}
    standing = {}
    for name, value in found.items():
        if name in ignored:
            continue
        if name not in told:
            attribute = attributes.get(name)
            is_default = (
                attribute is not None and attribute.on_create is not None and attribute.on_create == value
            )
            if name == resource.status_attribute or is_default:
                continue
        standing[name] = value
    return merge_patch_between(standing, told)


def merge_patch_between(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest merge patch from one object to another: `merge_patch(found, patch)` says what `wanted` says."""
    patch: dict[str, Any] = {}
    for name in found.keys() - wanted.keys():
        if found[name] is not None:
            patch[name] = None
    for name, value in wanted.items():
        before = found.get(name)
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
