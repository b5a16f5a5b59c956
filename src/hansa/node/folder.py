"""A marketplace's folder: what is in it, how it is made, and how several of them become a league.

    hansa.toml            settings
    keys/member.jwk       signs events and requests to other members
    keys/token.jwk        signs API tokens
    member.json           public card, for the others
    genesis.json          the ledger's beginning; of a league of one until the league is founded
    token                 a bearer token of the operator (only where asked for)
    store.db              the catalogue store
    ledger/               working folder of the ledger application and the engine
    lock                  held by the `hansa serve` that runs

Founding: every operator runs `hansa init` and sends `member.json` to the others; `found_league` makes the same genesis
from the same cards everywhere; `install_genesis` puts it into the folder, before the first start.
"""

from __future__ import annotations

import base64
import os
import re
import tomllib
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.identifiers import Entropy
from hansa.core.keys import SigningKey
from hansa.core.members import Member, normal_endpoint
from hansa.identity import issue_token
from hansa.node.settings.loading import FILE_NAME, load_settings, toml_document, toml_value
from hansa.node.settings.schema import Value
from hansa.pubsub.engine import EngineKey, GenesisValidator, genesis_document, require_free_port
from hansa.pubsub.engine.home import bracketed, write_file
from hansa.pubsub.ledger.genesis import AppState, read_app_state

MEMBER_KEY: Final = Path("keys/member.jwk")
TOKEN_KEY: Final = Path("keys/token.jwk")
CARD: Final = Path("member.json")
GENESIS: Final = Path("genesis.json")
TOKEN: Final = Path("token")
STORE: Final = Path("store.db")
SCHEMAS: Final = Path("schemas")
"""JSON Schemas of extensions, which the operator puts there."""
JOBS: Final = Path("jobs")
"""Contents of import and export jobs."""
LEDGER: Final = Path("ledger")
LEDGER_STATE: Final = LEDGER / "state.db"
LOCK: Final = Path("lock")
NODE_KEY: Final = LEDGER / "config" / "node_key.json"
VALIDATOR_KEY: Final = LEDGER / "config" / "priv_validator_key.json"

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
POWER: Final = 10
"""Voting power of each founding member: equal, and above 1 so that finer weights stay possible."""
PORTS_TRIED_MAX: Final = 500
P2P_PORT_FIRST: Final = 26_656
WILDCARD_HOSTS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - told apart, not listened on
"""Every address of the machine: none that another member could connect to."""
"""Where the search for a port of the engine begins; CometBFT's own choice."""
_PEERS_LINE: Final = re.compile(r"^persistent_peers\s*=\s*\[[^\]]*\][ \t]*\n", re.MULTILINE)


class MemberCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a marketplace tells the others before the league is founded: `member.json`."""

    member: Member
    validator_key: str
    """Ed25519 public key of its validator, base64."""
    p2p_address: str
    """`<node id>@host:port` of its engine."""


class GenesisDocument(msgspec.Struct, frozen=True):
    """What is read of a genesis."""

    chain_id: str
    app_state: AppState


def init_member(
    folder: Path,
    name: str,
    endpoint: str,
    clock: Clock,
    *,
    did: str | None = None,
    p2p_host: str = "127.0.0.1",
    p2p_port: int | None = None,
    listen_host: str | None = None,
    listen_port: int | None = None,
    further_settings: dict[str, Value] | None = None,
) -> MemberCard:
    """Make the folder of a new marketplace: keys, settings, card, and the genesis of a league of one.

    Args:
        folder: Not there yet, or empty.
        name: For people.
        endpoint: Where others reach it.
        clock: For the genesis' time.
        did: Who it is on the ledger; the did:key of its new key unless given.
        p2p_host: Where the engine listens. For every address of the machine, the card names the endpoint's host.
        p2p_port: A free one is chosen unless given.
        listen_host: Where HTTP is served, when it is not the default.
        listen_port: When it is not the endpoint's.
        further_settings: More keys for `hansa.toml`.

    Raises:
        Refused: `Code.INVALID` (name, endpoint, DID), `Code.CONFLICT` (the folder is in use).
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`, when the folder cannot be written.
    """
    endpoint = normal_endpoint(endpoint)
    if not NAME.fullmatch(name):
        raise Refused(
            Code.INVALID,
            "A name has 1 to 64 letters, digits, spaces, dots, dashes or underscores, a letter or digit first.",
        )
    if did is not None and not re.fullmatch(r"did:[a-z0-9]+:\S{1,240}", did):
        raise Refused(Code.INVALID, f"{did!r} is not a DID; give one as did:web:market.example.")
    _make_folders(folder)
    member_key, node_key, validator_key = SigningKey.generate(), EngineKey.generate(), EngineKey.generate()
    try:
        member_key.save(folder / MEMBER_KEY)
        SigningKey.generate().save(folder / TOKEN_KEY)
    except OSError as error:
        raise _unwritable(folder, error) from error
    write_file(folder / NODE_KEY, node_key.node_document())
    write_file(folder / VALIDATOR_KEY, validator_key.validator_document())
    port = p2p_port or unused_ports(P2P_PORT_FIRST, 1, p2p_host)[0]
    host = _reachable_host(p2p_host, endpoint)
    did = did or member_key.verifying_key().did_key()
    member = Member(did=did, name=name, endpoint=endpoint, keys=(member_key.public,), power=POWER)
    card = MemberCard(
        member=member,
        validator_key=base64.b64encode(validator_key.public).decode(),
        p2p_address=f"{node_key.node_id}@{bracketed(host)}:{port}",
    )
    write_file(folder / CARD, _pretty(card))
    write_file(folder / GENESIS, found_league([card], chain_id_of([card]), clock.now()))
    listen: dict[str, Value | None] = {"listen_host": listen_host, "listen_port": listen_port}
    settings: dict[str, Value] = {"name": name, "did": did, "endpoint": endpoint}
    settings |= {key: value for key, value in listen.items() if value is not None}
    if host != p2p_host:
        settings["p2p_external_address"] = f"{bracketed(host)}:{port}"
    settings |= {"p2p_host": p2p_host, "p2p_port": port, "persistent_peers": ()}
    settings |= further_settings or {}
    write_file(folder / FILE_NAME, toml_document(settings).encode())
    load_settings(folder, {})
    return card


def _reachable_host(p2p_host: str, endpoint: str) -> str:
    """Where other members' engines find ours: the endpoint's host, when it listens on every address."""
    return (urlsplit(endpoint).hostname or p2p_host) if p2p_host in WILDCARD_HOSTS else p2p_host


def found_league(cards: Sequence[MemberCard], chain_id: str, genesis_time: datetime) -> bytes:
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
        GenesisValidator(card.member.name, _validator_key(card), card.member.power)
        for card in ordered
        if card.member.power > 0
    ]
    return genesis_document(chain_id, genesis_time, validators, msgspec.to_builtins(state))


def install_genesis(folder: Path, genesis: bytes, peers: Iterable[str]) -> None:
    """Put a league's genesis and the addresses of its members' engines into a folder, before its first start.

    Args:
        folder: Of a member that the genesis names.
        genesis: From `found_league`.
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
    has_begun = (folder / LEDGER_STATE).exists() or (folder / LEDGER / "config" / "genesis.json").exists()
    if has_begun and (folder / GENESIS).read_bytes() != genesis:
        raise Refused(
            Code.CONFLICT,
            f"The marketplace in {folder} was started before and has a ledger of its own. Make a new folder, "
            "found the league with its card, and bring the catalogue there by export and import.",
        )
    others = tuple(sorted({peer for peer in peers if peer != card.p2p_address}))
    _set_peers(folder / FILE_NAME, others)
    write_file(folder / GENESIS, genesis)


def chain_id_of(cards: Sequence[MemberCard]) -> str:
    """A chain id for a league of these members: readable, and different for different keys."""
    first = min(cards, key=lambda card: card.member.did)
    return f"hansa-{first.p2p_address[:12]}"


def read_card(path: Path) -> MemberCard:
    """A member's card.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=MemberCard)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{path} is not a readable member card: {_why(error)}.") from error


def read_genesis(content: bytes, path: Path) -> GenesisDocument:
    """What a genesis says about the league; `path` is for the message.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file.
    """
    try:
        document = msgspec.json.decode(content, type=GenesisDocument)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{path} is not a readable genesis: {_why(error)}.") from error
    read_app_state(msgspec.json.encode(document.app_state))
    return document


def load_genesis(folder: Path) -> tuple[bytes, GenesisDocument]:
    """The genesis in a folder, as bytes and read.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file.
    """
    path = folder / GENESIS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{path} cannot be read: {_why(error)}.") from error
    return content, read_genesis(content, path)


def issue_folder_token(
    folder: Path, subject: str, roles: Sequence[str], expires_in_s: float, clock: Clock, entropy: Entropy
) -> str:
    """A bearer token for the API of the marketplace in `folder`: what `hansa token` prints.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when the folder is not a marketplace's.
        Refused: `Code.INVALID`, when subject, role or time is not usable.
    """
    settings = load_settings(folder, {})
    key = SigningKey.load(folder / TOKEN_KEY)
    return issue_token(key, settings.did, subject, roles, expires_in_s, clock, entropy)


def write_token(folder: Path, token: str) -> None:
    """Keep a token in the folder, readable by its owner alone."""
    write_file(folder / TOKEN, token.encode() + b"\n")


def unused_ports(first: int, count: int, host: str) -> tuple[int, ...]:
    """Ports from `first` on that nothing listens on.

    They are kept in settings, so they must not be among those that the system hands out for outgoing connections
    (from 32768 on, on Linux): such a port may be taken at the next start.

    Raises:
        Fatal: `Code.PORT_IN_USE`, when there are not so many; `Code.SETTINGS_INVALID`, when the host is not this one.
    """
    found: list[int] = []
    for port in range(first, min(first + PORTS_TRIED_MAX, 65_536)):
        if len(found) == count:
            break
        try:
            require_free_port(port, "the engine", host)
        except Fatal as error:
            if error.code is not Code.PORT_IN_USE:
                raise
        else:
            found.append(port)
    if len(found) < count:
        raise Fatal(Code.PORT_IN_USE, f"There are not {count} free ports from {first} on.")
    return tuple(found)


# -- parts ----------------------------------------------------------------------------------------------------------


def _make_folders(folder: Path) -> None:
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise Refused(
                Code.CONFLICT,
                f"{folder} exists and is not empty. A new marketplace needs a folder of its own.",
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for part in (MEMBER_KEY.parent, LEDGER, NODE_KEY.parent):
            (folder / part).mkdir(mode=0o700)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _set_peers(file: Path, peers: tuple[str, ...]) -> None:
    """Set `persistent_peers` in a settings file and leave the rest as it is, comments too."""
    text = file.read_text(encoding="utf-8")
    line = f"persistent_peers = {toml_value(peers)}\n"
    changed, count = _PEERS_LINE.subn(lambda _: line, text, count=1)
    if count == 0:
        changed = line + text
    try:
        values = tomllib.loads(changed)
        is_right = values == {**tomllib.loads(text), "persistent_peers": list(peers)}
    except tomllib.TOMLDecodeError:
        is_right = False
    if not is_right:
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"{file} cannot be changed safely. Write this line into it yourself: {line.strip()}",
        )
    write_file(file, changed.encode())


def _validator_key(card: MemberCard) -> bytes:
    try:
        key = base64.b64decode(card.validator_key, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise Fatal(Code.SETTINGS_INVALID, f"The card of {card.member.name} has no usable validator key.")
    return key


def _pretty(content: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def _unwritable(folder: Path, error: OSError) -> Fatal:
    return Fatal(Code.SETTINGS_INVALID, f"{folder} cannot be written: {_why(error)}.")


def _why(error: Exception) -> str:
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
