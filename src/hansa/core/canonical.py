"""Canonical JSON (RFC 8785) and hashlinks: one entity, one byte string, one name for it.

A hashlink is `hl:` and the base58btc multihash (SHA-256) of the canonical bytes, after the IETF draft
draft-sporny-hashlink. `href` means something at one marketplace only, so it is not part of the hashed form.
"""

from __future__ import annotations

import hashlib
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
_FLOAT_PLAIN_MIN: Final = 1e-3
_FLOAT_PLAIN_MAX: Final = 1e15

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
        raise Refused(
            Code.INVALID, "The body holds a number or character that canonical JSON cannot carry."
        ) from error


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
