"""`depth` and `expand`: the references that a response replaces by their entities (TMF630 Part 2)."""

from __future__ import annotations

from typing import Final

from hansa.business.models import Api, Resource
from hansa.business.query.paging import number
from hansa.business.query.paths import Path, attribute_path
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

PATHS_MAX: Final = 16


def depth_of(values: list[str] | None, limits: Limits) -> int:
    """The levels to which references are expanded.

    Raises:
        Refused: `Code.INVALID`.
    """
    return number("depth", values, 0, limits.expansion_depth_max)


def expand_paths(values: list[str], api: Api, resource: Resource) -> tuple[Path, ...]:
    """The paths whose references are expanded.

    Raises:
        Refused: `Code.INVALID`, for a path that is no attribute, or one that holds no references.
    """
    names = dict.fromkeys(name.strip() for value in values for name in value.split(",") if name.strip())
    if len(names) > PATHS_MAX:
        raise Refused(Code.INVALID, f"expand: at most {PATHS_MAX} paths.")
    paths: list[Path] = []
    for name in names:
        resolved = attribute_path(name, api, resource, "expand")
        if not _is_reference(resolved.type, api):
            raise Refused(
                Code.INVALID,
                f"expand: {name[:60]!r} refers to nothing; it takes attributes that hold references.",
            )
        paths.append(resolved.path)
    return tuple(paths)


def _is_reference(type_name: str, api: Api) -> bool:
    """Whether values of a type refer to an entity."""
    while type_name in api.lists:
        type_name = api.lists[type_name].type
    if type_name not in api.types:
        return False
    attributes = api.attributes_of(type_name)
    return "id" in attributes and (
        "href" in attributes or "@referredType" in attributes or type_name.endswith(("Ref", "RefOrValue"))
    )
