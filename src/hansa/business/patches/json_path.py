"""JSONPath (RFC 9535) as the path of a patch: the places that it leads to.

A patch is applied while a transaction is open, so its paths must not cost more than one walk through the document:
`..`, a `$` within a filter, and the functions on regular expressions are refused.
"""

from __future__ import annotations

import re
from typing import Any, Final

from jsonpath import JSONPathEnvironment, JSONPathError

from hansa.business.patches.pointer import Pointer, value_at

_TEXTS: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_LAST_NAME: Final = re.compile(r"(?:\.([A-Za-z_][\w]*)|\['([^'\\]*)'\])\Z")
"""A name at the end of a path: what `add` may set although it is not there."""
LENGTH_MAX_CHARS: Final = 2048


def json_path_places(document: Any, path: str, *, may_be_new: bool) -> list[Pointer]:
    """The places that a path leads to, in the order of the document; the leading `$.` may be left out.

    Raises:
        ValueError: It cannot be read, or costs too much; the message says why.
    """
    if len(path) > LENGTH_MAX_CHARS:
        raise ValueError(f"must have at most {LENGTH_MAX_CHARS} characters")
    whole = path if path.startswith("$") else f"${path}" if path.startswith("[") else f"$.{path}"
    bare = _TEXTS.sub("", whole)
    if ".." in bare or "$" in bare[1:]:
        raise ValueError("must be a JSONPath without .. and without $ in its filters")
    new = _LAST_NAME.search(whole) if may_be_new else None
    if new is None:
        return _places(document, whole)
    name = new.group(1) or new.group(2)
    parents = _places(document, whole[: new.start()])
    return [(*parent, name) for parent in parents if type(value_at(document, parent)) is dict]


def _places(document: Any, path: str) -> list[Pointer]:
    environment = JSONPathEnvironment(strict=True)
    for name in ("match", "search"):
        del environment.function_extensions[name]
    try:
        return [tuple(map(str, one.parts)) for one in environment.finditer(path, document)]
    except (JSONPathError, RecursionError):
        raise ValueError("must be a JSON Pointer with conditions, or a JSONPath (RFC 9535)") from None
