"""JSON of others, decoded within bounds on depth, lengths and nodes, and with no name twice in one object.

A *node* is any value: an object, an array, a text, a number, true, false or null. Most of what is done with a
body takes time by its nodes, some of it ten microseconds for each.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are no JSON, not of their form, not UTF-8, or nested too deeply."""

_encode: Final = msgspec.json.Encoder().encode


class _RepeatedNameError(Exception):
    """An object has a name twice."""


def _unrepeated(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise _RepeatedNameError(name)
        seen.add(name)


_NAMES: Final = json.JSONDecoder(object_pairs_hook=_unrepeated, parse_int=str, parse_float=str)
"""Decodes for the sake of the names in objects alone."""


def read_json(raw: bytes, limits: Limits) -> Any:
    """The JSON value that a body is.

    Args:
        raw: The body, UTF-8.
        limits: `body_depth_max`, `body_nodes_max`, `array_length_max_items`, `string_length_max_chars`.

    Raises:
        Refused: `Code.MALFORMED`, when it is not JSON, nested too deeply, or names a member twice;
            `Code.INVALID`, when an array or a string is too long; `Code.TOO_LARGE`, when it has too many
            nodes.
    """
    if certainly_has_more_nodes(raw, limits.body_nodes_max):
        raise _too_many_nodes(limits)
    try:
        value = msgspec.json.decode(raw)
    except UNREADABLE as error:
        if isinstance(error, RecursionError):
            raise Refused(Code.MALFORMED, "The body is nested too deeply.") from None
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error).rstrip(".")
        raise Refused(Code.MALFORMED, f"The body is not JSON: {reason}.") from None
    if has_more_nodes(raw, value, limits.body_nodes_max):
        raise _too_many_nodes(limits)
    if has_more_levels(raw, value, limits.body_depth_max):
        raise Refused(Code.MALFORMED, f"The body is nested deeper than {limits.body_depth_max} levels.")
    if len(raw) > min(limits.string_length_max_chars, 2 * limits.array_length_max_items):
        _check_lengths(value, limits)
    # Of several values under one name every parser picks its own (RFC 8259, section 4). What is the same when
    # it is written again has none; only other spellings are read by a parser that looks.
    if _encode(value) == raw:
        return value
    try:
        _NAMES.decode(raw.decode())
    except _RepeatedNameError as error:
        raise Refused(Code.MALFORMED, f"The body has {str(error)[:64]!r} twice in one object.") from None
    return value


def read_object(raw: bytes, limits: Limits) -> dict[str, Any]:
    """The JSON object that a body is, decoded as by `read_json`.

    Raises:
        Refused: as there; `Code.INVALID`, when it is another value.
    """
    value = read_json(raw, limits)
    if type(value) is not dict:
        raise Refused(Code.INVALID, "The body must be a JSON object.")
    return value


def _too_many_nodes(limits: Limits) -> Refused:
    return Refused(
        Code.TOO_LARGE,
        f"The body consists of more than {limits.body_nodes_max:,} values; divide it among several entities.",
    )


def certainly_has_more_nodes(raw: bytes, count_max: int) -> bool:
    """Whether a text would have more than `count_max` nodes as JSON, as far as that is known undecoded.

    Decoding holds the interpreter's lock to its end, in whichever thread: for a megabyte of small values that
    is 20 ms. Counting what lies between strings takes a fraction of that.

    Args:
        raw: The text; whether it is JSON does not matter.
        count_max: How many nodes there may be.
    """
    # Each node but the first of an object or array has a comma before it.
    if len(raw) < count_max or raw.count(b",") < count_max:
        return False
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two quotes are a string, which is a node or the name of one.
    if raw.count(b'"') > 4 * (count_max + 1):
        return True
    return b"".join(raw.split(b'"')[::2]).count(b",") >= count_max


def has_more_nodes(raw: bytes, value: Any, count_max: int) -> bool:
    """Whether a JSON value consists of more than `count_max` nodes.

    Args:
        raw: The value as JSON, of which most are small enough to tell without a walk.
        value: The same, decoded.
        count_max: How many nodes there may be.
    """
    if len(raw) < 2 * count_max:  # each but the first has a comma, bracket or brace of its own beside it
        return False
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") < count_max:
        return False
    todo, count = [value], 1
    while todo and count <= count_max:
        current = todo.pop()
        count += len(current)
        todo += [
            child
            for child in (current.values() if type(current) is dict else current)
            if type(child) is dict or type(child) is list
        ]
    return count > count_max


def has_more_levels(raw: bytes, value: Any, depth_max: int) -> bool:
    """Whether a JSON value has more than `depth_max` levels of objects and arrays.

    Args:
        raw: The value as JSON: one with few brackets cannot be deep, and is not walked.
        value: The same, decoded.
        depth_max: How many levels there may be.
    """
    return raw.count(b"{") + raw.count(b"[") > depth_max and is_deeper_than(value, depth_max)


def shallow_node_count(value: Any) -> int:
    """How many values a decoded JSON value holds at its first two levels; tells the large from the small."""
    if type(value) is dict:
        value = value.values()
    elif type(value) is not list:
        return 1
    return 1 + sum(1 + len(child) if type(child) in {dict, list} else 1 for child in value)


def _check_lengths(value: Any, limits: Limits) -> None:
    todo = [value]
    while todo:
        current = todo.pop()
        if type(current) is dict:
            todo += current.values()
        elif type(current) is list:
            if len(current) > limits.array_length_max_items:
                raise Refused(Code.INVALID, f"An array has at most {limits.array_length_max_items} elements.")
            todo += current
        elif type(current) is str and len(current) > limits.string_length_max_chars:
            raise Refused(Code.INVALID, f"A string has at most {limits.string_length_max_chars} characters.")


def is_deeper_than(value: Any, depth_max: int) -> bool:
    """Whether a decoded JSON value has more than `depth_max` levels of objects and arrays."""
    level = [value] if type(value) is dict or type(value) is list else []
    for _ in range(depth_max):
        if not level:
            return False
        level = [
            child
            for current in level
            for child in (current.values() if type(current) is dict else current)
            if type(child) is dict or type(child) is list
        ]
    return bool(level)
