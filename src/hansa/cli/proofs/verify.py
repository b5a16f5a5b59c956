"""`hansa verify`: says in plain words what a receipt proves, or why it proves nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from hansa.cli.input_files import read_input
from hansa.cli.output import Output
from hansa.core.clock import rfc3339_at_ms
from hansa.core.errors import Code, Refused
from hansa.core.foreign_text import printable
from hansa.core.identifiers import entity_key
from hansa.pubsub.light.genesis import read_trusted_genesis
from hansa.pubsub.light.histories.shown import ProvedHistory
from hansa.pubsub.light.receipts import ProvedEvent, VerifiedReceipt, is_of_issuer, verify_receipt

_PINNED: Final = re.compile("([1-9][0-9]{0,15}):([0-9a-fA-F]{64})", re.ASCII)


def run_verify(file: Path, genesis: Path, trusted: str | None, entity: str | None, output: Output) -> None:
    """Verify a receipt offline, with the genesis alone.

    Raises:
        Refused: `Code.PROOF_INVALID`, with the reason; `Code.INVALID` for an argument.
        Fatal: a file cannot be read.
    """
    known, keys = read_input(genesis, read_trusted_genesis)
    pinned = _pinned(trusted)
    receipt = read_input(file, lambda raw: verify_receipt(raw, known, keys, pinned))
    if entity is not None:
        _check_entity(receipt, entity)
    names = read_input(genesis, _names)
    if output.as_json:
        output.document(_document(receipt))
        return
    for line in _lines(receipt, names, is_pinned=trusted is not None):
        output.data(line)


def _pinned(text: str | None) -> tuple[int, bytes] | None:
    if text is None:
        return None
    match = _PINNED.fullmatch(text)
    if match is None:
        raise Refused(
            Code.INVALID, "--trusted is HEIGHT:HASH, a block's height and the 64 digits of its hash."
        )
    return int(match[1]), bytes.fromhex(match[2])


def _check_entity(receipt: VerifiedReceipt, entity: str) -> None:
    """Check that the events of a receipt are about an entity of that identifier."""
    wrong = [
        one.position
        for one in receipt.events
        if one.event.entity.key not in {entity, entity_key(one.event.issuer, entity)}
    ]
    if wrong or not receipt.events:
        raise Refused(Code.PROOF_INVALID, f"The receipt holds, and is about another entity than {entity}.")


class _Member(msgspec.Struct, frozen=True):
    did: str = ""
    name: str = ""


class _AppState(msgspec.Struct, frozen=True):
    members: tuple[_Member, ...] = ()


class _Genesis(msgspec.Struct, frozen=True):
    app_state: _AppState = _AppState()


def _names(genesis: bytes) -> Mapping[str, str]:
    members = msgspec.json.decode(genesis, type=_Genesis).app_state.members
    return {member.did: member.name for member in members}


def _lines(receipt: VerifiedReceipt, names: Mapping[str, str], *, is_pinned: bool) -> list[str]:
    """What the receipt proves, in plain words."""
    lines = ["The receipt holds."]
    for one in receipt.events:
        event = one.event
        issuer = names.get(event.issuer)
        by = f"{printable(issuer)} ({event.issuer})" if issuer else event.issuer
        lines += [
            f"  {event.type}, version {event.entity.version} of {event.entity.type} {event.entity.key}",
            f"    published by {by}",
            f"    content {event.hashlink}",
            f"    committed at position {one.position}, in block {one.height}, at {rfc3339_at_ms(one.time_ms)}",
            f"    {_signature_text(one)}",
        ]
    if receipt.history is not None and receipt.history.member is not None:
        lines += _history_lines(receipt.history, names)
    if receipt.key is not None:
        lines += _claim_lines(receipt, names)
    start = "the block that you trust" if is_pinned else "the genesis"
    steps = "directly" if receipt.steps <= 1 else f"over {receipt.steps - 1} light blocks"
    at = rfc3339_at_ms(receipt.time_ns // 1_000_000)
    lines += [
        f"  signed by {receipt.signers} of {receipt.validators} validators, with {receipt.power} of {receipt.power_total} of the power,",
        f"    in block {receipt.height} of {receipt.chain_id}, at {at}",
        f"  which follows from {start} {steps}",
    ]
    return lines


def _signature_text(proved: ProvedEvent) -> str:
    key = proved.key
    if key is not None:
        until = "on" if key.until is None else f"to {key.until}"
        return f"signed by its issuer, with the key {key.jwk.kid}, its own from position {key.since} {until}"
    if proved.is_signature_verified:
        return "signed by its issuer: verified here"
    return "signed by its issuer: verified by the league when it was committed; its key is not at hand here"


def _history_lines(history: ProvedHistory, names: Mapping[str, str]) -> list[str]:
    assert history.member is not None, "it is somebody's"
    whose = (
        f"{printable(names[history.member])} ({history.member})"
        if history.member in names
        else history.member
    )
    lines = [f"  keys and endpoints of {whose} up to position {history.events}:"]
    if history.is_fixed:
        return [*lines, "    those of the genesis: the rules of the league let no member change"]
    if not history.keys:
        return [*lines, "    none: it was never a member"]
    for key in history.keys:
        if key.until is None:
            valid = f"from position {key.since} on"
        else:
            valid = f"from position {key.since} to {key.until}" if key.until >= key.since else "for no event"
        lines.append(f"    the key {key.jwk.kid} was valid {valid}")
    return lines + [
        f"    it serves at {one.endpoint} from position {one.since} on" for one in history.endpoints
    ]


def _claim_lines(receipt: VerifiedReceipt, names: Mapping[str, str]) -> list[str]:
    if not receipt.claims:
        return [f"  The ledger had no event of {receipt.key} by then."]
    lines: list[str] = []
    for claim in receipt.claims:
        last = next(
            (
                one
                for one in receipt.events
                if is_of_issuer(claim, one.event.issuer) and one.position == claim.claim.last_position
            ),
            None,
        )
        issuer = next((name for did, name in names.items() if is_of_issuer(claim, did)), claim.issuer_digest)
        state = "deleted" if claim.claim.is_deleted else claim.claim.hashlink
        which = "which is the event above" if last is not None else f"at position {claim.claim.last_position}"
        lines.append(
            f"  latest by then of {printable(issuer)}: version {claim.claim.version}, {which}: {state}"
        )
    return lines


def _document(receipt: VerifiedReceipt) -> Any:
    return {"holds": True, **msgspec.to_builtins(receipt)}
