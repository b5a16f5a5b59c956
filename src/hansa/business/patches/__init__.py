"""The forms of a patch: merge patch, JSON Patch and JSON Patch Query (TMF630 Part 1, 5.3).

Each has a module. `json_path` and `pointer` resolve the paths of the latter two.
"""

from __future__ import annotations

from typing import Any, Final

from hansa.business.patches.json_patch import json_patch, operations
from hansa.business.patches.json_patch_query import json_patch_query
from hansa.business.patches.merge_patch import merge_patch
from hansa.business.validation.violations import Violation, refuse
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

JSON_PATCH: Final = "application/json-patch+json"
JSON_PATCH_QUERY: Final = "application/json-patch-query+json"
MERGE_PATCH: Final = "application/merge-patch+json"

MEDIA_TYPES: Final = (MERGE_PATCH, "application/json", JSON_PATCH, JSON_PATCH_QUERY)
"""Of a patch; `application/json` is read as a merge patch."""


def apply_patch(media_type: str, target: dict[str, Any], patch: Any, limits: Limits) -> dict[str, Any]:
    """The entity that results from a patch of that media type; neither argument is changed.

    Raises:
        Refused: `Code.INVALID`, naming operation, member, rule and value; `Code.CONFLICT`, when a path leads
            to nothing or a `test` fails; `Code.TOO_LARGE`; `Code.UNSUPPORTED_MEDIA_TYPE`.
    """
    if media_type == JSON_PATCH:
        return json_patch(target, patch, limits)
    if media_type == JSON_PATCH_QUERY:
        return json_patch_query(target, patch, limits)
    if media_type not in MEDIA_TYPES:
        raise Refused(
            Code.UNSUPPORTED_MEDIA_TYPE, f"The media type of a patch must be one of {', '.join(MEDIA_TYPES)}."
        )
    patched: dict[str, Any] = merge_patch(target, patch)
    return patched


def check_patch(media_type: str, patch: Any, limits: Limits) -> None:
    """Check the form of a patch, as far as is possible without the entity.

    Raises:
        Refused: `Code.INVALID`, naming operation, member, rule and value.
    """
    if media_type in {JSON_PATCH, JSON_PATCH_QUERY}:
        operations(patch, limits)
    elif type(patch) is not dict:
        refuse([Violation("The body", "must be an object (RFC 7396)", patch)])


def created_entities(patch: Any, limits: Limits) -> list[dict[str, Any]]:
    """The entities that a JSON Patch on a collection creates (TMF630 Part 1, 6.2): only `add` at `/`.

    Raises:
        Refused: `Code.INVALID`, naming operation, member, rule and value.
    """
    entities = []
    for one in operations(patch, limits):
        if one.op != "add":
            raise one.invalid("must be the operation add; on a collection there is no other")
        if one.path not in {"/", "/-", ""}:
            raise one.invalid("must be /")
        if type(one.value) is not dict:
            raise one.invalid("must be an object", "value")
        entities.append(one.value)
    return entities
