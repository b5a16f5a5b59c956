"""The genesis of a league, made from the members' cards.

It is installed in each member's folder before its first start. The same cards give the same bytes, whoever
makes them, so that nobody has to be trusted with the founding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from hansa.core.errors import Code, Fatal, Refused
from hansa.core.files import is_missing, read_file, write_file
from hansa.node.folder.card import MemberCard, read_card
from hansa.node.folder.layout import CARD, GENESIS, LEDGER, LEDGER_STATE
from hansa.node.settings.editing import set_setting
from hansa.node.settings.loading import FILE_NAME
from hansa.pubsub.engine import GenesisValidator, genesis_document
from hansa.pubsub.genesis import FoundingValidator, read_genesis_parts
from hansa.pubsub.ledger.genesis import AppState, check_engine_validators, read_app_state


class GenesisDocument(msgspec.Struct, frozen=True):
    """What is read of a genesis."""

    chain_id: str
    genesis_time: str
    """RFC 3339, as it is written; another one for a league that was founded anew."""
    app_state: AppState
    validators: tuple[FoundingValidator, ...]


def league_genesis(cards: Sequence[MemberCard], chain_id: str, genesis_time: datetime) -> bytes:
    """The genesis of a league: the same bytes for the same cards, in whatever order they are given.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when two cards are of the same member or one is not usable.
    """
    ordered = sorted(cards, key=lambda card: card.member.did)
    for what, values in (
        ("name", [card.member.name for card in ordered]),
        ("p2p address", [card.p2p_address for card in ordered]),
    ):
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise Fatal(Code.SETTINGS_INVALID, f"Two members have the same {what}: {twice}.")
    state = AppState(members=tuple(card.member for card in ordered))
    read_app_state(msgspec.json.encode(state))
    validators = [
        GenesisValidator(card.member.name, bytes.fromhex(card.member.validator_key), card.member.power)
        for card in ordered
        if card.member.power > 0
    ]
    check_engine_validators(state.members, {one.public_key.hex(): one.power for one in validators})
    return genesis_document(chain_id, genesis_time, validators, msgspec.to_builtins(state))


def install_genesis(folder: Path, genesis: bytes, peers: Iterable[str]) -> None:
    """Put a league's genesis and the addresses of its members' engines into a folder, before its first start.

    Args:
        folder: Of a member that the genesis names.
        genesis: From `league_genesis`.
        peers: `p2p_address` of the members; this one's own is left out.

    Raises:
        Refused: `Code.CONFLICT`, when the folder's ledger has begun with another genesis.
        Fatal: `Code.SETTINGS_INVALID`.
    """
    card = read_card(folder / CARD)
    document = read_genesis(genesis, folder / GENESIS)
    if card.member not in document.app_state.members:
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"The genesis does not name {card.member.name} ({card.member.did}) as {folder / CARD} has it.",
        )
    has_begun = not all(
        is_missing(folder / path) for path in (LEDGER_STATE, LEDGER / "config" / "genesis.json")
    )
    if has_begun and read_file(folder / GENESIS) != genesis:
        raise Refused(
            Code.CONFLICT,
            f"The marketplace in {folder} was started before and has a ledger of its own. Make a new folder, "
            "found the league with its card, and bring the catalogue there by export and import.",
        )
    others = tuple(sorted({peer for peer in peers if peer != card.p2p_address}))
    set_peers(folder / FILE_NAME, others)
    write_file(folder / GENESIS, genesis)


def chain_id_of(cards: Sequence[MemberCard]) -> str:
    """A chain id for a league of these members: readable, and different for different keys."""
    first = min(cards, key=lambda card: card.member.did)
    return f"hansa-{first.p2p_address[:12]}"


def read_genesis(content: bytes, path: Path) -> GenesisDocument:
    """What a genesis says about the league; `path` is for the message.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file.
    """
    try:
        parts = read_genesis_parts(content)
    except Refused as error:
        reason = error.message.removeprefix("It is ")
        raise Fatal(Code.SETTINGS_INVALID, f"{path} is {reason}") from error
    state = read_app_state(parts.app_state)
    check_engine_validators(state.members, parts.powers)
    return GenesisDocument(parts.chain_id, parts.genesis_time, state, parts.validators)


def load_genesis(folder: Path) -> tuple[bytes, GenesisDocument]:
    """The genesis in a folder, as bytes and read.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file.
    """
    path = folder / GENESIS
    content = read_file(path, "Take it from another member of the league, or from a backup.")
    return content, read_genesis(content, path)


def set_peers(file: Path, peers: tuple[str, ...]) -> None:
    """Set `persistent_peers` in a settings file and leave the rest as it is, comments too."""
    set_setting(file, "persistent_peers", peers)
