"""A new marketplace's folder, and tokens for its API."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from hansa.core.clock import Clock
from hansa.core.confidential.agreement import AgreementKey
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.files import write_file
from hansa.core.identifiers import Entropy, is_did, is_identifier_prefix
from hansa.core.keys import SigningKey
from hansa.core.members import Member, normal_endpoint
from hansa.identity import issue_token
from hansa.node.folder.card import MemberCard
from hansa.node.folder.errors import reason_of
from hansa.node.folder.genesis import chain_id_of, league_genesis
from hansa.node.folder.layout import (
    AGREEMENT_KEY,
    CARD,
    GENESIS,
    LEDGER,
    MEMBER_KEY,
    NODE_KEY,
    TOKEN,
    TOKEN_KEY,
    VALIDATOR_KEY,
)
from hansa.node.folder.member_key import member_secret
from hansa.node.folder.ports import unused_ports
from hansa.node.folder.rotation import finish_rotation
from hansa.node.settings.loading import FILE_NAME, load_settings
from hansa.node.settings.setting import Value
from hansa.node.settings.toml import toml_document
from hansa.pubsub.engine import UNSIGNED, EngineKey, write_signing_state
from hansa.pubsub.engine.home import bracketed
from hansa.pubsub.engine.keys import KeyType

NAME_LENGTH_MAX_CHARS: Final = 64
NAME_SIGNS: Final = frozenset(" ._-'&")
POWER: Final = 10
"""Voting power of each founding member: equal, and above 1 so that finer weights stay possible."""
P2P_PORT_FIRST: Final = 26_656
"""Where the search for a port of the engine begins; CometBFT's own choice."""
_COUNTRY: Final = re.compile("[A-Z]{2}", re.ASCII)
WILDCARD_HOSTS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognized, not listened on
"""Every address of the machine: none that another member could connect to."""


def init_member(
    folder: Path,
    name: str,
    endpoint: str,
    clock: Clock,
    *,
    did: str | None = None,
    prefixes: Sequence[str] = (),
    country: str = "",
    p2p_host: str = "127.0.0.1",
    p2p_port: int | None = None,
    listen_host: str | None = None,
    listen_port: int | None = None,
    further_settings: dict[str, Value] | None = None,
    validator_key_type: KeyType = "ed25519",
) -> MemberCard:
    """Make the folder of a new marketplace: keys, settings, card, and the genesis of a league of one.

    Args:
        folder: Does not exist yet, or is empty.
        name: For people.
        endpoint: Where others reach it.
        clock: For the genesis' time.
        did: Its identity on the ledger; by default the did:key of its new key.
        prefixes: Beginnings of identifiers that are to be its own; the genesis of its league registers them.
        country: Where it is: ISO 3166-1, two letters; empty: it does not say.
        p2p_host: Where the engine listens. When that is every address of the machine, the card names the
            endpoint's host.
        p2p_port: By default a free one.
        listen_host: Where HTTP is served, when it is not the default.
        listen_port: When it is not the endpoint's.
        further_settings: More keys for `hansa.toml`.
        validator_key_type: What its validator signs with.

    Raises:
        Refused: `Code.INVALID` (name, endpoint, DID, prefixes), `Code.CONFLICT` (the folder is in use).
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`, when the folder cannot be written.
    """
    name = unicodedata.normalize("NFC", name)
    endpoint = _checked_endpoint(name, endpoint, did, prefixes, country)
    _make_folders(folder)
    member_key, node_key, validator_key = _make_keys(folder, validator_key_type)
    port = p2p_port or unused_ports(P2P_PORT_FIRST, 1, p2p_host)[0]
    host = _reachable_host(p2p_host, endpoint)
    did = did or member_key.verifying_key().did_key()
    member = Member(
        *(did, name, endpoint, (member_key.public,), POWER),
        node_ids=(node_key.node_id,),
        prefixes=tuple(prefixes),
        validator_key=validator_key.public.hex(),
        agreement_key=_make_agreement_key(folder),
        country=country,
    )
    card = MemberCard(member, f"{node_key.node_id}@{bracketed(host)}:{port}")
    write_file(folder / CARD, _pretty(card))
    write_file(folder / GENESIS, league_genesis([card], chain_id_of([card]), clock.now()))
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


def is_name(text: str) -> bool:
    """Whether a text can be a marketplace's name: one that every terminal, log and page shows as it is.

    Letters of every script, with their marks; no invisible characters, and none that change the direction.
    """
    return (
        0 < len(text) <= NAME_LENGTH_MAX_CHARS
        and text[0].isalnum()
        and not text.endswith(" ")
        and "  " not in text
        and all(sign.isalnum() or sign in NAME_SIGNS or unicodedata.category(sign)[0] == "M" for sign in text)
    )


def _checked_endpoint(
    name: str, endpoint: str, did: str | None, prefixes: Sequence[str], country: str
) -> str:
    """The endpoint as it is registered, after a check of everything that the operator chooses.

    Raises:
        Refused: `Code.INVALID`, naming everything that is wrong.
    """
    faults = []
    if not is_name(name):
        faults.append(
            f"{name!r} is no name: a name has 1 to {NAME_LENGTH_MAX_CHARS} letters or digits of any script, single "
            "spaces, dots, dashes, underscores, apostrophes or ampersands, and begins with a letter or digit."
        )
    normal = endpoint
    try:
        normal = normal_endpoint(endpoint)
    except Refused as error:
        faults.append(error.message)
    if did is not None and not is_did(did):
        faults.append(f"{did!r} is not a DID; give one as did:web:market.example.")
    faults += [
        f"{prefix!r} is no prefix of identifiers; give small letters with a colon at the end, as urn:acme:."
        for prefix in prefixes
        if not is_identifier_prefix(prefix)
    ]
    if country and _COUNTRY.fullmatch(country) is None:
        faults.append(f"{country!r} is no country; give two capital letters (ISO 3166-1), as DE.")
    if faults:
        raise Refused(Code.INVALID, " ".join(faults))
    return normal


def _make_keys(folder: Path, validator_key_type: KeyType) -> tuple[SigningKey, EngineKey, EngineKey]:
    """New keys in a folder: of the member, its engine, its validator and its tokens, and the secret."""
    member_key, node_key = SigningKey.generate(), EngineKey.generate()
    validator_key = EngineKey.generate(validator_key_type)
    try:
        member_key.save(folder / MEMBER_KEY)
        SigningKey.generate().save(folder / TOKEN_KEY)
    except OSError as error:
        raise _unwritable(folder, error) from error
    _write_engine_keys(folder, node_key, validator_key)
    member_secret(folder)
    return member_key, node_key, validator_key


def _make_agreement_key(folder: Path) -> str:
    """A new key for key agreement in a folder; its public half."""
    key = AgreementKey.generate()
    write_file(folder / AGREEMENT_KEY, key.private_document())
    return key.public


def issue_folder_token(
    folder: Path,
    subject: str,
    roles: Sequence[str],
    expires_in_s: float,
    clock: Clock,
    entropy: Entropy,
    scopes: Sequence[str] = (),
) -> str:
    """A bearer token for the API of the marketplace in `folder`: what `hansa token` prints.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when the folder is not a marketplace's.
        Refused: `Code.INVALID`, when subject, role, scope or time is not usable.
    """
    settings = load_settings(folder, {})
    finish_rotation(folder)
    key = SigningKey.load(folder / TOKEN_KEY)
    lifetime_max_s = settings.limits.token_lifetime_max_s
    who = settings.did, subject, roles
    return issue_token(key, *who, expires_in_s, clock, entropy, lifetime_max_s, scopes)


def write_token(folder: Path, token: str) -> None:
    """Keep a token in the folder, readable by its owner alone."""
    write_file(folder / TOKEN, token.encode() + b"\n")


def _reachable_host(p2p_host: str, endpoint: str) -> str:
    """Where other members' engines find ours: the endpoint's host, when it listens on every address."""
    return (urlsplit(endpoint).hostname or p2p_host) if p2p_host in WILDCARD_HOSTS else p2p_host


def check_new_folder(folder: Path) -> None:
    """Check that nothing is where the folder of a new marketplace is to be made.

    Raises:
        Refused: `Code.CONFLICT`.
        Fatal: `Code.SETTINGS_INVALID`, when that cannot be looked at.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise Refused(Code.CONFLICT, f"{folder} is a file. A new marketplace needs a folder of its own.")
        if folder.exists() and any(folder.iterdir()):
            raise Refused(
                Code.CONFLICT,
                f"{folder} exists and is not empty. A new marketplace needs a folder of its own.",
            )
    except OSError as error:
        raise _unwritable(folder, error) from error


def _make_folders(folder: Path) -> None:
    check_new_folder(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for part in (MEMBER_KEY.parent, LEDGER, NODE_KEY.parent):
            (folder / part).mkdir(mode=0o700)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _write_engine_keys(folder: Path, node_key: EngineKey, validator_key: EngineKey) -> None:
    """The keys, and that the validator's has signed nothing: this is said once, here, where it is made."""
    write_file(folder / NODE_KEY, node_key.node_document())
    write_signing_state(folder / LEDGER, UNSIGNED)
    write_file(folder / VALIDATOR_KEY, validator_key.validator_document())


def _pretty(content: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def _unwritable(folder: Path, error: OSError) -> Fatal:
    return Fatal(Code.SETTINGS_INVALID, f"{folder} cannot be written: {reason_of(error)}.")
