"""JSONPath (TMF630 Part 6) as the path of a patch: the places that it leads to."""

from __future__ import annotations

import re
from typing import Any, Final

from hansa.business.patches.pointer import Pointer, value_at
from hansa.business.query.jsonpath_text import read
from hansa.core.errors import Refused
from hansa.core.limits import Limits

_LAST_NAME: Final = re.compile(r"(?:\.([A-Za-z_]\w*)|\['([^'\\]*)'\])\Z")
"""A name at the end of a path: what `add` may set although it is not there."""


def json_path_places(document: Any, path: str, limits: Limits, *, may_be_new: bool) -> list[Pointer]:
    """The places that a path leads to, in the order of the document; the leading `$.` may be left out.

    Raises:
        ValueError: It cannot be read, or costs too much; the message says why, without a full stop.
    """
    whole = path if path.startswith("$") else f"${path}" if path.startswith("[") else f"$.{path}"
    new = _LAST_NAME.search(whole) if may_be_new else None
    if new is None:
        return _places(document, whole, limits)
    name = new.group(1) or new.group(2)
    above = whole[: new.start()]
    parents = [()] if above == "$" else _places(document, above, limits)
    return [(*parent, name) for parent in parents if type(value_at(document, parent)) is dict]


def _places(document: Any, path: str, limits: Limits) -> list[Pointer]:
    try:
        return [tuple(map(str, place)) for place in read("path", path, limits).locations(document)]
    except Refused as error:
        raise ValueError(
            f"must be a JSON Pointer with conditions, or a JSONPath ({error.message.rstrip('.')})"
        ) from None
