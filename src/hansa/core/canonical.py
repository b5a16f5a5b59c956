"""Canonical JSON (RFC 8785) and hashlinks: one entity, one byte string, one name for it.

A hashlink is `hl:` and the base58btc multihash (SHA-256) of the canonical bytes, after the IETF draft
draft-sporny-hashlink. `href` means something at one marketplace only, so it is not part of the hashed form.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from typing import Any, Final

import based58
import msgspec
import rfc8785

from hansa.core.errors import Code, Refused

HASHLINK_PREFIX: Final = "hl:z"
_MULTIHASH_SHA2_256: Final = b"\x12\x20"
_HASHLINK_FIRST: Final = HASHLINK_PREFIX + based58.b58encode(_MULTIHASH_SHA2_256 + b"\x00" * 32).decode()
_HASHLINK_LAST: Final = HASHLINK_PREFIX + based58.b58encode(_MULTIHASH_SHA2_256 + b"\xff" * 32).decode()
_HASHLINK: Final = re.compile(rf"hl:z[1-9A-HJ-NP-Za-km-z]{{{len(_HASHLINK_FIRST) - len(HASHLINK_PREFIX)}}}")
_INTEGER_EXACT_MAX: Final = 2**53 - 1
_INTEGER_SHOWN_MAX: Final = 10**60
_FLOAT_PLAIN_MIN: Final = 1e-3
_FLOAT_PLAIN_MAX: Final = 1e15

UNCARRIED_SHOWN_MAX: Final = 10

_sorted_encoder = msgspec.json.Encoder(order="sorted")


def _is_plain(value: Any, *, is_ascii: bool) -> bool:
    """Whether msgspec's sorted output of `value`, all ASCII or not, is already RFC 8785.

    It is, except for keys beyond ASCII (which RFC 8785 sorts by UTF-16 code units), integers that a double
    cannot carry, floats outside the range in which both write plain decimals, and values that are not JSON's.
    """
    todo: list[Iterable[Any]] = [(value,)]
    while todo:
        for current in todo.pop():
            kind = type(current)
            if kind is str or kind is bool:
                continue
            if kind is dict:
                if not is_ascii and not all(map(str.isascii, current)):
                    return False
                todo.append(current.values())
            elif kind is list:
                todo.append(current)
            elif not _is_plain_number(current):
                return False
    return True


def _is_plain_number(value: Any) -> bool:
    """The same of a number or null."""
    if type(value) is int:
        return -_INTEGER_EXACT_MAX <= value <= _INTEGER_EXACT_MAX
    if type(value) is float:
        return _FLOAT_PLAIN_MIN <= abs(value) < _FLOAT_PLAIN_MAX and not value.is_integer()
    return value is None


def _exact(value: object) -> object:
    """`value` with integers beyond 2^53 as the floats that they stand for.

    Canonical JSON writes a large float without fraction as an integer, and what we wrote we must be able to
    read: such an integer is accepted when it is the canonical spelling of a float. Any other would lose
    digits.
    """
    if isinstance(value, list):
        return [_exact(element) for element in value]
    if isinstance(value, dict):
        return {key: _exact(element) for key, element in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _INTEGER_EXACT_MAX:
        number = float(value)
        return number if rfc8785.dumps(number) == b"%d" % value else value
    return value


def canonical_json(value: object) -> bytes:
    """The RFC 8785 form of a JSON value (dict, list, str, int, float, bool, None).

    Raises:
        Refused: `Code.INVALID`, when the value has no such form (an integer that a double cannot carry, NaN,
            a lone surrogate).
    """
    try:
        encoded = _sorted_encoder.encode(value)
        if _is_plain(value, is_ascii=encoded.isascii()):
            return encoded
        return rfc8785.dumps(_exact(value))  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, OverflowError, TypeError) as error:
        places = "; ".join(f"{path}: {rule}" for path, rule, _ in uncarried(value)[:UNCARRIED_SHOWN_MAX])
        raise Refused(
            Code.INVALID, places or "It holds a number or character that canonical JSON cannot carry."
        ) from error


def uncarried(value: object, path: str = "") -> list[tuple[str, str, object]]:
    """Path, rule and value of everything within a value that canonical JSON cannot carry."""
    if isinstance(value, dict):
        names = [(path or "The body", "has a name with half a character (a lone surrogate)", None)]
        below = [one for key, each in value.items() for one in uncarried(each, f"{path}.{key}".lstrip("."))]
        return below if all(map(_is_text, value)) else names + below
    if isinstance(value, list):
        return [one for index, each in enumerate(value) for one in uncarried(each, f"{path}[{index}]")]
    if isinstance(value, str):
        rule = "has half a character (a lone surrogate)"
        return [] if _is_text(value) else [(path, rule, None)]
    if isinstance(value, int) and not _is_carried(value):
        digits = f', "{value}"' if abs(value) < _INTEGER_SHOWN_MAX else ""
        return [
            (path, f"has more digits than a JSON number carries (RFC 8785): send it as text{digits}", value)
        ]
    is_endless = isinstance(value, float) and not math.isfinite(value)
    return [(path, "is no number that JSON has", None)] if is_endless else []


def _is_carried(value: int) -> bool:
    """Whether canonical JSON carries an integer: a double does, with all its digits."""
    if abs(value) <= _INTEGER_EXACT_MAX:
        return True
    try:
        return isinstance(_exact(value), float)
    except OverflowError:
        return False


def _is_text(text: object) -> bool:
    """Whether a string can be written in UTF-8."""
    try:
        str(text).encode()
    except UnicodeEncodeError:
        return False
    return True


def hashlink(canonical: bytes) -> str:
    """The hashlink of canonical bytes."""
    return hashlink_of_digest(hashlib.sha256(canonical).digest())


def digest_of_hashlink(text: str) -> bytes:
    """The SHA-256 in a well-formed hashlink."""
    multihash = based58.b58decode(text[len(HASHLINK_PREFIX) :].encode("ascii"))
    assert multihash.startswith(_MULTIHASH_SHA2_256), "the hashlink is one of ours"
    return multihash[len(_MULTIHASH_SHA2_256) :]


def hashlink_of_digest(digest: bytes) -> str:
    """The hashlink of canonical bytes with that SHA-256."""
    return HASHLINK_PREFIX + based58.b58encode(_MULTIHASH_SHA2_256 + digest).decode()


def is_hashlink(text: str) -> bool:
    """Whether `text` is a well-formed hashlink of ours.

    Base58btc keeps the order of numbers of one length, so a digest of our kind is what lies between the first
    and the last of them; nothing needs to be decoded.
    """
    return _HASHLINK.fullmatch(text) is not None and _HASHLINK_FIRST <= text <= _HASHLINK_LAST
