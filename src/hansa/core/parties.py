"""The parties of an entity, and which members are their operators.

*Parties* are those in `relatedParty` with the role Seller, SellerOperator, Buyer or BuyerOperator. A party is
named by a DID, in `name`, `id`, or those of `partyOrPartyRole`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from hansa.core.errors import Code, Refused
from hansa.core.identifiers import is_did

ROLES: Final = frozenset({"seller", "selleroperator", "buyer", "buyeroperator"})
"""Of the parties whose operators get an entity; in any case."""
BUYER_ROLES: Final = frozenset({"buyer", "customer"})
"""Of the party that orders something, likewise."""
PARTIES_MAX: Final = 200
ATTRIBUTE: Final = "relatedParty"
_MENTIONED: Final = b'"relatedParty":'


def is_mentioned(body: bytes) -> bool:
    """Whether an entity, by its canonical bytes, may have parties."""
    return _MENTIONED in body


def parties_of(body: bytes) -> list[list[str]]:
    """The DIDs of each party of an entity that has one of the roles; a party can have none."""
    if not is_mentioned(body):
        return []
    fields = msgspec.json.decode(body)
    listed = fields.get(ATTRIBUTE) if isinstance(fields, dict) else None
    parties = [one for one in (listed if isinstance(listed, list) else [listed]) if isinstance(one, dict)]
    return [_dids_of(one) for one in parties if role_of(one) in ROLES][:PARTIES_MAX]


def read_party_operators(texts: Iterable[str]) -> Mapping[str, str]:
    """By DID of a party, the DID of the member that is its operator: texts of both, parted by blanks.

    Raises:
        Refused: `Code.INVALID`, saying what is wrong.
    """
    operators: dict[str, str] = {}
    for text in texts:
        dids = text.split()
        if len(dids) != 2 or not all(map(is_did, dids)):
            raise Refused(Code.INVALID, f"{text!r} is not the DID of a party and the DID of a member.")
        if dids[0] in operators:
            raise Refused(Code.INVALID, f"{dids[0]} has two operators.")
        operators[dids[0]] = dids[1]
    return operators


def role_of(party: Mapping[str, Any]) -> str:
    """The role of a party, as it is compared: in lower case, without blanks; empty when it has none."""
    role = party.get("role")
    return role.strip().replace(" ", "").lower() if isinstance(role, str) else ""


def _dids_of(party: dict[str, Any]) -> list[str]:
    nested = party.get("partyOrPartyRole")
    named = [party, *([nested] if isinstance(nested, dict) else [])]
    values = (one.get(attribute) for one in named for attribute in ("name", "id"))
    return list(dict.fromkeys(value for value in values if isinstance(value, str) and is_did(value)))
