"""Elements of the ledger's state: what a proposal can be written against.

An element is a part of the state that a vote can change, and that nobody can change without one; so
nobody can void a proposal against itself by a statement about itself. Its name is a kind and a key with a
slash between them:

    member/DID           whether it is a member, its name, status, prefixes and validator key
    power/DID            its voting power and validator key
    param/NAME           a limit of the league
    issuer/DID           a trusted issuer            anchor/ID     a trust anchor
    policy/NAME          a distribution policy       upgrade/NAME  a planned upgrade

The hash of an element is SHA-256 of its bytes in the state, in hex; an element that does not exist has
none.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from hansa.core.closed_json import ListOf, Text
from hansa.core.closed_structs import StructForm
from hansa.core.governance.forms import HASH

BASE_MAX: Final = 64
"""Elements of a proposal."""


class BaseElement(msgspec.Struct, frozen=True, order=True):
    """An element as it was when a proposal was written."""

    element: str
    hash: str = ""
    """Empty: it did not exist."""


BASE_ELEMENT: Final = StructForm(
    BaseElement, {"element": Text("[a-z_]{1,32}/[!#-\\[\\]-~]{1,512}")}, {"hash": HASH}
)
BASE: Final = ListOf(BASE_ELEMENT, BASE_MAX)
"""Ordered by the elements' names, each of them once."""


def element_hash(body: bytes | None) -> str:
    """The hash of an element from its bytes in the state; None of them: it does not exist."""
    return "" if body is None else hashlib.sha256(body).hexdigest()
