"""The consensus engine, CometBFT: its folder, its keys, its process.

A member's engine is made with `write_home` from `EngineSettings`, a `genesis_document` and two `EngineKey`s,
and run with `supervised_engine`. The application behind it runs as a second `Supervised` child.
"""

from hansa.pubsub.engine.binary import EngineBuild, engine_binary, engine_build
from hansa.pubsub.engine.genesis import (
    EVIDENCE_AGE_MAX,
    EVIDENCE_AGE_MAX_BLOCKS,
    GenesisValidator,
    genesis_document,
)
from hansa.pubsub.engine.home import (
    ABCI_SOCKET,
    RPC_SOCKET,
    EngineSettings,
    Home,
    StateSync,
    bracketed,
    write_home,
)
from hansa.pubsub.engine.keys import EngineKey, address_of, read_key
from hansa.pubsub.engine.node import engine_environment, engine_spec, supervised_engine
from hansa.pubsub.engine.ports import free_port, free_ports, not_listening, require_free_port
from hansa.pubsub.engine.process import ChildSpec, ChildState, Exit, Supervised
from hansa.pubsub.engine.relay import LineRelay, json_relay
from hansa.pubsub.engine.signing_state import (
    PRECOMMIT,
    PROPOSAL,
    SIGNING_STATE,
    UNSIGNED,
    BlockSigners,
    CommitVote,
    SigningState,
    parse_signing_state,
    read_last_signature,
    read_signing_state,
    votes_of,
    write_signing_state,
)
from hansa.pubsub.engine.sockets import SocketFolder, remove_stale_socket, wait_for_listener
from hansa.pubsub.engine.watch import EngineProgress, EngineWatch

__all__ = [
    "ABCI_SOCKET",
    "EVIDENCE_AGE_MAX",
    "EVIDENCE_AGE_MAX_BLOCKS",
    "PRECOMMIT",
    "PROPOSAL",
    "RPC_SOCKET",
    "SIGNING_STATE",
    "UNSIGNED",
    "BlockSigners",
    "ChildSpec",
    "ChildState",
    "CommitVote",
    "EngineBuild",
    "EngineKey",
    "EngineProgress",
    "EngineSettings",
    "EngineWatch",
    "Exit",
    "GenesisValidator",
    "Home",
    "LineRelay",
    "SigningState",
    "SocketFolder",
    "StateSync",
    "Supervised",
    "address_of",
    "bracketed",
    "engine_binary",
    "engine_build",
    "engine_environment",
    "engine_spec",
    "free_port",
    "free_ports",
    "genesis_document",
    "json_relay",
    "not_listening",
    "parse_signing_state",
    "read_key",
    "read_last_signature",
    "read_signing_state",
    "remove_stale_socket",
    "require_free_port",
    "supervised_engine",
    "votes_of",
    "wait_for_listener",
    "write_home",
    "write_signing_state",
]
