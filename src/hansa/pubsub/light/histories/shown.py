"""The part `history` of a receipt: records of the ledger's section `history`, and what they prove.

    member   DID of a member whose keys and endpoints are all shown; may be absent
    path     roots of the rest of the section's tree, in order (`hansa.core.merkle.root_of_subset`)
    records  place, key and bytes (base64url) of each record that is shown, in the order of both
    size     how many records the section has

The records of the section are in the order of their keys. So the records of a member are all there when the
one before them and the one behind them are shown, too, and no place between is missing. Under rules that
remember no history, the members are those of the genesis for ever; then `member` is there alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import msgspec

from hansa.core.base64url import from_base64url
from hansa.core.closed_json import Integer, ListOf, Record, Text
from hansa.core.errors import Code, Refused
from hansa.core.governance.forms import DID
from hansa.core.histories import EndpointPeriod, KeyPeriod, LedgerHistory
from hansa.core.merkle import root_of_subset
from hansa.pubsub.ledger.commitments.app_hash import SECTIONS, counted
from hansa.pubsub.ledger.commitments.histories import SECTION, ledger_history, shows_all_of
from hansa.pubsub.ledger.commitments.records import record_leaf
from hansa.pubsub.light.chain.forms import HASH, decoded, encoded
from hansa.pubsub.proofs import HistoryProof

RECORDS_MAX: Final = 4096
_COUNT: Final = Integer(0, 2**53 - 1)

SHOWN: Final = Record(
    {
        "index": _COUNT,
        "key": Text(r"[!#-\[\]-~]{1,700}"),
        "record": Text("[A-Za-z0-9_-]{2,8192}"),
    }
)
HISTORY: Final = Record(
    {}, {"member": DID, "path": ListOf(HASH, 65_536), "records": ListOf(SHOWN, RECORDS_MAX), "size": _COUNT}
)


class ProvedHistory(msgspec.Struct, frozen=True):
    """What a receipt proves of keys and endpoints of members."""

    member: str | None
    """DID of the member of whom everything is proved; None: of nobody."""
    events: int
    """Up to which position: what became of keys and endpoints afterwards is not known."""
    is_fixed: bool
    """Whether the rules let no member change: keys and endpoints are those of the genesis."""
    keys: tuple[KeyPeriod, ...] = ()
    """Where there is a `member`, of that one alone."""
    endpoints: tuple[EndpointPeriod, ...] = ()


class ShownHistory(msgspec.Struct, frozen=True):
    """The part as it was read: what it shows if `app_hash` commits to `content`."""

    member: str | None
    content: bytes | None
    """Of the section; None under rules that have none."""
    count: int
    """Of the records."""
    history: LedgerHistory


def history_fields(proof: HistoryProof | None, member: str | None) -> dict[str, Any]:
    """The part of a receipt that shows what a proof shows."""
    fields: dict[str, Any] = {} if member is None else {"member": member}
    if proof is None:
        return fields
    fields["size"] = proof.size
    if proof.records:
        fields["records"] = tuple(
            {"index": one.index, "key": one.key, "record": encoded(bytes.fromhex(one.record))}
            for one in proof.records
        )
    if proof.path:
        fields["path"] = tuple(encoded(bytes.fromhex(one)) for one in proof.path)
    return fields


def read_history(fields: Mapping[str, Any], ruleset: str) -> ShownHistory:
    """What the part says, under the rules of a state.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    member = fields.get("member")
    if SECTION not in SECTIONS.get(ruleset, ()):
        if fields.keys() != {"member"}:
            raise _invalid("Its rules remember no history")
        return ShownHistory(member, None, 0, LedgerHistory())
    if "size" not in fields:
        raise _invalid("It does not say how many records of members there are")
    rows = fields.get("records", ())
    shown = [(row["index"], row["key"]) for row in rows]
    if any(one[0] >= other[0] or one[1] >= other[1] for one, other in pairwise(shown)):
        raise _invalid("Its records of members are not in their order")
    records = {row["key"]: _bytes(row["record"]) for row in rows}
    leaves = {row["index"]: record_leaf(row["key"], records[row["key"]]) for row in rows}
    root = root_of_subset(leaves, fields["size"], [decoded(one) for one in fields.get("path", ())])
    if root is None:
        raise _invalid("Its records of members lead to no root")
    if member is not None and not shows_all_of(member, shown, fields["size"]):
        raise _invalid(f"It does not show everything of {member}")
    try:
        history = ledger_history(records)
    except (Refused, ValueError) as error:
        raise _invalid("A record of a member is not in its form") from error
    return ShownHistory(member, counted(fields["size"], root), len(records), history)


def _bytes(text: str) -> bytes:
    try:
        return from_base64url(text)
    except ValueError as error:
        raise _invalid(f"A record {error}") from error


def _invalid(reason: str) -> Refused:
    return Refused(Code.PROOF_INVALID, f"The receipt does not hold. {reason}.")
