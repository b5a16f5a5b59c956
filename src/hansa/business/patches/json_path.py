"""JSONPath (TMF630 Part 6) as the path of a patch, resolved to pointers."""

from __future__ import annotations

import re
from typing import Any, Final

from hansa.business.patches.pointer import Pointer, value_at
from hansa.business.query.jsonpath import VisitBudget
from hansa.business.query.jsonpath_text import read_jsonpath
from hansa.core.errors import Refused
from hansa.core.limits import Limits

_LAST_NAME: Final = re.compile(r"(?:\.([A-Za-z_]\w*)|\['([^'\\]*)'\])\Z")
"""A name at the end of a path, which `add` may set although it does not exist."""


def json_path_pointers(
    document: Any, path: str, limits: Limits, budget: VisitBudget, *, may_be_new: bool
) -> list[Pointer]:
    """The values to which a path leads, in the order of the document; the leading `$.` may be left out.

    `budget` bounds the values that all paths of a patch visit together.

    Raises:
        ValueError: It is malformed, or costs too much; the message says why, without a full stop.
    """
    whole = path if path.startswith("$") else f"${path}" if path.startswith("[") else f"$.{path}"
    new = _LAST_NAME.search(whole) if may_be_new else None
    if new is None:
        return _pointers(document, whole, limits, budget)
    name = new.group(1) or new.group(2)
    above = whole[: new.start()]
    parents = [()] if above == "$" else _pointers(document, above, limits, budget)
    return [(*parent, name) for parent in parents if type(value_at(document, parent)) is dict]


def _pointers(document: Any, path: str, limits: Limits, budget: VisitBudget) -> list[Pointer]:
    try:
        locating = read_jsonpath("path", path, limits).locating(budget)
        return [tuple(map(str, place)) for place in locating(document)]
    except Refused as error:
        raise ValueError(
            f"must be a JSON Pointer with conditions, or a JSONPath ({error.message.rstrip('.')})"
        ) from None
