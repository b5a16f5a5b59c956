"""`fields`: the attributes of an entity in a response (TMF630 Part 1, section 4.3).

Names of first and nested levels, and JSONPaths (Part 6), as `fields=name,note[?(@.author=='X')].text`. `none`
selects only the identity: `id` and `href`, which are always returned. A name that no entity has selects
nothing; it is no error, because entities have more attributes than the model, and clients name those that
other servers have.
"""

from __future__ import annotations

from typing import Final

from hansa.business.query.jsonpath_text import read_jsonpath
from hansa.business.representation import Selection, selection
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

NO_FIELDS: Final = "none"
_NOT_STORED: Final = frozenset({NO_FIELDS, "href", "$.href"})
_CLOSING: Final = {"[": "]", "(": ")"}


def selection_of(values: list[str], limits: Limits) -> Selection | None:
    """The selection of `fields`; None for the whole entity, when it is empty.

    Raises:
        Refused: `Code.INVALID` or `Code.NOT_IMPLEMENTED`, for a JSONPath.
    """
    plain, paths = parts_of(values, limits)
    if not plain and not paths:
        return None
    # Responses are made on the event loop, so the cost of all paths for one of them is bounded.
    nodes_max = limits.answer_path_nodes_max // max(1, len(paths))
    return selection(
        (name for name in plain if name not in _NOT_STORED),
        [read_jsonpath("fields", path, limits, nodes_max=nodes_max) for path in paths],
    )


def parts_of(values: list[str], limits: Limits) -> tuple[list[str], list[str]]:
    """The plain names and the JSONPaths of `fields`.

    Raises:
        Refused: `Code.INVALID`, when there are too many, or one is too deep.
    """
    plain: list[str] = []
    paths: list[str] = []
    for name in (name for value in values for name in names_of(value)):
        is_path = "[" in name or name.startswith("$") or ".." in name or "*" in name
        (paths if is_path and name != "$.href" else plain).append(name)
    if len(paths) > limits.filter_count_max:
        raise Refused(Code.INVALID, f"fields: at most {limits.filter_count_max} JSONPaths.")
    if any(name.count(".") > limits.body_depth_max for name in plain):
        raise Refused(Code.INVALID, "fields: a name is longer than entities are deep.")
    return plain, paths


def names_of(text: str) -> list[str]:
    """The parts of a list that is separated by commas outside of brackets and quotes."""
    if "[" not in text:
        return [name for name in map(str.strip, text.split(",")) if name]
    names: list[str] = []
    open_until: list[str] = []
    start = 0
    for position, letter in enumerate(text):
        if open_until and open_until[-1] in "'\"":
            if letter == open_until[-1] and text[position - 1] != "\\":
                open_until.pop()
        elif letter in "'\"" and open_until:
            open_until.append(letter)
        elif letter in _CLOSING:
            open_until.append(_CLOSING[letter])
        elif open_until and letter == open_until[-1]:
            open_until.pop()
        elif letter == "," and not open_until:
            names.append(text[start:position])
            start = position + 1
    names.append(text[start:])
    return [name for name in map(str.strip, names) if name]
