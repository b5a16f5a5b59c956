"""`sort`: the order of a list (TMF630 Part 1, section 4.7).

`sort=-lastUpdate,note.date` sorts by several attributes, also nested ones, ascending unless the name has the
prefix `-`. A key may be a JSONPath that only names attributes, as `attachment[*].name`.
"""

from __future__ import annotations

from typing import Final

from hansa.business.models import Api, Resource
from hansa.business.query.jsonpath_text import attribute_names
from hansa.business.query.paths import attribute_path
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.store import SortKey

KEYS_MAX: Final = 8


def sort_keys(values: list[str], api: Api, resource: Resource, limits: Limits) -> tuple[SortKey, ...]:
    """The keys of an order, the most significant first.

    Raises:
        Refused: `Code.INVALID`, naming what is no attribute; `Code.NOT_IMPLEMENTED` for a JSONPath that
            selects elements.
    """
    names = [name.strip() for value in values for name in value.split(",")]
    if len(names) > KEYS_MAX:
        raise Refused(Code.INVALID, f"sort: a list is sorted by at most {KEYS_MAX} attributes.")
    return tuple(_sort_key(name, api, resource, limits) for name in names)


def _sort_key(text: str, api: Api, resource: Resource, limits: Limits) -> SortKey:
    # An unencoded "+" is decoded to a blank, which was stripped.
    bare = text.removeprefix("+")
    is_descending = bare.startswith("-")
    bare = bare.removeprefix("-").strip()
    if not bare:
        raise Refused(Code.INVALID, "sort names attributes, as `sort=-lastUpdate,name`.")
    if "[" in bare or bare.startswith("$"):
        bare = ".".join(attribute_names("sort", bare, limits))
    resolved = attribute_path(bare, api, resource, "sort")
    # `href` is not stored: it is the address of the collection and `id`.
    path = ("id",) if resolved.path == ("href",) else resolved.path
    return SortKey(path, is_descending, is_instant=resolved.type == "date-time")
