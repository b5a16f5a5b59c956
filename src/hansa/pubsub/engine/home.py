"""A CometBFT home: the folder with the engine's configuration, keys and data.

    <home>/config/config.toml               written anew at every start, from our settings
    <home>/config/genesis.json              written once; another genesis in its place is an error
    <home>/config/node_key.json             written once
    <home>/config/priv_validator_key.json   written once
    <home>/data/priv_validator_state.json   the engine's own memory of what it signed, made with the key

While it *observes*, an engine runs with a throw-away validator key instead, which no league knows: it follows
the ledger and signs nothing. The real key and what it signed are not touched then.

    <home>/config/observer_key.json         the throw-away key, another one at every start
    <home>/data/observer_state.json         what it signed: nothing

The engine runs with the home as its working folder, and communicates through unix sockets there (`abci.sock`:
the application; `rpc.sock`: submissions, and how far the engine is). Socket names are relative because a
socket's address holds 108 bytes and a home may lie deep. The peer-to-peer port is the only TCP port.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from hansa.core.errors import Code, Fatal
from hansa.core.files import is_missing, read_file, write_file
from hansa.pubsub.engine.keys import EngineKey, read_key
from hansa.pubsub.engine.signing_state import (
    SIGNING_STATE,
    UNSIGNED,
    read_signing_state,
    signing_state_document,
    write_signing_state,
)

ABCI_SOCKET: Final = "abci.sock"
RPC_SOCKET: Final = "rpc.sock"

VALIDATOR_KEY: Final = Path("config/priv_validator_key.json")
OBSERVER_KEY: Final = Path("config/observer_key.json")
OBSERVER_STATE: Final = Path("data/observer_state.json")

LOG_LEVEL: Final = "main:info,p2p:error,*:error"
"""At `info` a busy engine writes a dozen lines for every block."""


DISCOVERY_S: Final = 5.0
"""How long an engine looks for snapshots before it takes the newest; CometBFT accepts no shorter time."""
CHUNK_TIMEOUT_S: Final = 10.0


class StateSync(msgspec.Struct, frozen=True):
    """From what an engine without blocks begins, instead of from the genesis."""

    servers: tuple[str, ...]
    """Addresses of light proxies, two at least: the first serves, the others are witnesses."""
    height: int
    """Of a trusted block."""
    hash: str
    """Of its header; hex, upper case."""
    trust_period_s: int
    """How old it may be."""


class EngineSettings(msgspec.Struct, frozen=True):
    """What distinguishes one member's engine from another's, and its limits."""

    name: str
    """Shown to other operators; no meaning for the protocol."""
    p2p_port: int
    p2p_host: str = "127.0.0.1"
    """Where to listen for other members."""
    p2p_external_address: str = ""
    """`host:port` that other members reach this one at, when it differs from where it listens."""
    persistent_peers: tuple[str, ...] = ()
    """`<node id>@host:port` of the other members."""
    member_node_ids: tuple[str, ...] = ()
    """Of the other members: they find a place even when all places for peers are taken."""
    is_single_machine: bool = False
    """Whether several members share this machine: loopback addresses and many peers of one address are
    right."""
    proxy_app: str = f"unix://{ABCI_SOCKET}"
    rpc_address: str = f"unix://{RPC_SOCKET}"
    log_level: str = LOG_LEVEL

    heartbeat_s: int = 60
    """Longest time without a block, as the league decided."""

    mempool_count_max: int = 1024
    """Transactions that the engine holds. The application decides what waits (`hansa.pubsub.ledger.waiting`);
    this has to have room for all of it."""
    mempool_size_max_bytes: int = 33_554_432
    transaction_size_max_bytes: int = 262_144

    propose_timeout_s: float = 0.6
    """How long the others wait for a block of the one whose turn it is. It has to cover making and gossiping
    a full block on a busy machine; while a member is down it is also the pause at every block whose turn was
    its, and with `vote_timeout_s` what the slowest in a hundred events wait for."""
    propose_timeout_step_s: float = 0.5
    """By how much it grows with every failed round: too short a timeout heals itself."""
    vote_timeout_s: float = 0.2
    """How long to wait for the remaining votes once more than 2/3 have voted without agreeing."""
    vote_timeout_step_s: float = 0.3

    state_sync: StateSync | None = None
    """None: blocks are fetched from the first on."""


class Home(msgspec.Struct, frozen=True):
    """A home that is ready to run."""

    folder: Path
    node_id: str
    """What other members put before `@host:port`."""
    validator_address: str


def write_home(
    folder: Path,
    settings: EngineSettings,
    genesis: bytes,
    node_key: EngineKey | None = None,
    validator_key: EngineKey | None = None,
    *,
    is_observing: bool = False,
) -> Home:
    """Create a home, or bring an existing one up to date with the settings.

    Keys and genesis of an existing home stay. A home that has no genesis yet gets the keys that are passed,
    else new ones. The memory of what was signed is made together with the validator's key, and never again:
    an engine with a key that has signed before and an empty memory would sign twice.

    Args:
        folder: The home.
        settings: What distinguishes this engine from others.
        genesis: The genesis document.
        node_key: The expected one.
        validator_key: The expected one.
        is_observing: Whether it follows the ledger without signing.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when the home was made with another genesis or other keys, lacks a
            key or the memory of what was signed, or is damaged.
    """
    config, data = folder / "config", folder / "data"
    for part in (folder, config, data):
        part.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_new = is_missing(config / "genesis.json")
    node = ensure_key(config / "node_key.json", node_key, EngineKey.node_document, is_new=is_new)
    if is_new and is_missing(folder / VALIDATOR_KEY) and is_missing(folder / SIGNING_STATE):
        write_signing_state(folder, UNSIGNED)
    validator = ensure_key(folder / VALIDATOR_KEY, validator_key, EngineKey.validator_document, is_new=is_new)
    write_once(config / "genesis.json", genesis)
    if is_observing:
        write_file(folder / OBSERVER_KEY, EngineKey.generate().validator_document())
        write_file(folder / OBSERVER_STATE, signing_state_document(UNSIGNED))
    else:
        read_signing_state(folder)
    write_file(config / "config.toml", toml_document(configuration(settings, is_observing=is_observing)))
    return Home(folder=folder, node_id=node.node_id, validator_address=validator.address)


def moniker(name: str) -> str:
    """A member's name as the engine takes it: ASCII alone. What is not is written as its code point."""
    return name.encode("ascii", "backslashreplace").decode("ascii").replace("\\", "")


def configuration(settings: EngineSettings, *, is_observing: bool = False) -> dict[str, Any]:
    """The parts of config.toml where a league differs from CometBFT's defaults."""
    return {
        "priv_validator_key_file": str(OBSERVER_KEY if is_observing else VALIDATOR_KEY),
        "priv_validator_state_file": str(OBSERVER_STATE if is_observing else SIGNING_STATE),
        "proxy_app": settings.proxy_app,
        # The application decides by the registry who may be a peer.
        "filter_peers": True,
        "moniker": moniker(settings.name),
        "log_level": settings.log_level,
        "log_format": "json",
        "rpc": {
            "laddr": settings.rpc_address,
            "max_body_bytes": 2 * settings.transaction_size_max_bytes + 65_536,
            "max_open_connections": 64,
            # A reader that falls behind is disconnected and reads on from its cursor; the default drops
            # events without a word.
            "experimental_close_on_slow_client": True,
            "experimental_subscription_buffer_size": 1000,
            "experimental_websocket_write_buffer_size": 1000,
            "pprof_laddr": "",
        },
        "p2p": {
            "laddr": f"tcp://{bracketed(settings.p2p_host)}:{settings.p2p_port}",
            "external_address": settings.p2p_external_address,
            "persistent_peers": ",".join(settings.persistent_peers),
            # Without it the pause between attempts grows to hours, and a member that was down for a day stays
            # away.
            "persistent_peers_max_dial_period": "30s",
            # Peers are the members, whose addresses are known; nobody else is looked for, or told of.
            "pex": False,
            "unconditional_peer_ids": ",".join(settings.member_node_ids),
            "addr_book_strict": not settings.is_single_machine,
            "allow_duplicate_ip": settings.is_single_machine,
            "flush_throttle_timeout": "1ms",
            "send_rate": 20_480_000,
            "recv_rate": 20_480_000,
        },
        "mempool": {
            "size": settings.mempool_count_max,
            "max_txs_bytes": settings.mempool_size_max_bytes,
            "max_tx_bytes": settings.transaction_size_max_bytes,
            "cache_size": 10 * settings.mempool_count_max,
            "recheck_timeout": "5s",
        },
        "consensus": {
            "timeout_propose": duration(settings.propose_timeout_s),
            "timeout_propose_delta": duration(settings.propose_timeout_step_s),
            "timeout_prevote": duration(settings.vote_timeout_s),
            "timeout_prevote_delta": duration(settings.vote_timeout_step_s),
            "timeout_precommit": duration(settings.vote_timeout_s),
            "timeout_precommit_delta": duration(settings.vote_timeout_step_s),
            "timeout_commit": "0s",
            "create_empty_blocks": False,
            # Without transactions there is a block at each heartbeat: block time does not stand still.
            "create_empty_blocks_interval": duration(settings.heartbeat_s),
            "peer_gossip_sleep_duration": "5ms",
        },
        "statesync": _state_sync(settings.state_sync),
        # Nothing queries the engine for transactions by attribute: the application has the index.
        "tx_index": {"indexer": "null"},
    }


def _state_sync(state_sync: StateSync | None) -> dict[str, Any]:
    """The table `statesync`. An engine that has blocks goes on from them, whatever it says."""
    if state_sync is None:
        return {"enable": False}
    return {
        "enable": True,
        "rpc_servers": ",".join(state_sync.servers),
        "trust_height": state_sync.height,
        "trust_hash": state_sync.hash,
        "trust_period": duration(state_sync.trust_period_s),
        "discovery_time": duration(DISCOVERY_S),
        "chunk_request_timeout": duration(CHUNK_TIMEOUT_S),
    }


def duration(seconds: float) -> str:
    """A duration as Go writes it, in whole milliseconds."""
    return f"{round(seconds * 1000)}ms"


def bracketed(host: str) -> str:
    """A host as it is written before a port: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def toml_document(content: Mapping[str, Any]) -> bytes:
    """TOML of a mapping of plain values and of tables of plain values."""
    lines = ["# Written at every start of the member from its own settings; changes here are lost."]
    tables: list[tuple[str, Mapping[str, Any]]] = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            tables.append((key, value))
        else:
            lines.append(f"{key} = {toml_value(value)}")
    for name, table in tables:
        lines += ["", f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in table.items())]
    return ("\n".join(lines) + "\n").encode()


def toml_value(value: str | bool | int) -> str:
    """A TOML string, boolean or integer. A TOML basic string is a JSON string, but for DEL."""
    assert isinstance(value, str | bool | int)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def ensure_key(
    path: Path, expected: EngineKey | None, render: Callable[[EngineKey], bytes], *, is_new: bool
) -> EngineKey:
    """The key at `path`; in a new home that has none yet, the expected or a new one, written there.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when it is missing in a home that is not new, cannot be read, or is
            another than the expected one.
    """
    if is_new and is_missing(path):
        key = expected or EngineKey.generate()
        write_file(path, render(key))
        return key
    present = read_key(path)
    if expected is not None and expected != present:
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"{path} holds another key than the expected one. Two keys for one member, or one key in two places, "
            "look like misbehaviour to the others; keep the one that the league knows.",
        )
    return present


def write_once(path: Path, content: bytes) -> None:
    """Write a file that must never change."""
    if is_missing(path):
        write_file(path, content)
    elif read_file(path) != content:
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"{path} is the genesis of another league. A member belongs to one league for good; use a new folder.",
        )
