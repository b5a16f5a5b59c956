"""The schema of the settings: every key with its kind, default, meaning and an example."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

ENVIRONMENT_PREFIX: Final = "HANSA_"

Kind = Literal["text", "whole number", "number", "truth value", "list of texts"]
Value = str | int | float | bool | tuple[str, ...]


class Setting(msgspec.Struct, frozen=True):
    """One setting, as the schema has it."""

    key: str
    kind: Kind
    default: Value | None
    """None: it has to be given."""
    description: str
    example: Value

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return ENVIRONMENT_PREFIX + self.key.upper()


BUSINESS_SETTINGS: Final = (
    Setting(
        "unknown_attributes",
        "text",
        "refuse",
        "What becomes of attributes that a type does not have, in a body that announces no extension: `refuse` or `keep`.",
        "keep",
    ),
    Setting(
        "unknown_extensions",
        "text",
        "keep",
        "What becomes of a body that announces an extension whose schema is not registered here: `keep` or `refuse`.",
        "refuse",
    ),
    Setting(
        "unresolved_references",
        "text",
        "warn",
        "What becomes of a write that refers to an entity which is not (yet) here: `warn` or `refuse`.",
        "refuse",
    ),
    Setting(
        "referenced_deletion",
        "text",
        "refuse",
        "What becomes of the deletion of an entity that others refer to: `refuse` or `warn`.",
        "warn",
    ),
    Setting(
        "indexed_attributes",
        "list of texts",
        (),
        "Attributes with an index beyond the usual ones, so that filters on them are fast: `ProductOffering.version`, or "
        "`externalId` for every type that has it.",
        ("ProductOffering.version", "externalId"),
    ),
    Setting(
        "import_hosts",
        "list of texts",
        (),
        "Origins from which import jobs may fetch content, as `https://files.example`.",
        ("https://files.example",),
    ),
)
"""What an operator chooses where TM Forum leaves a choice."""


OWN_SETTINGS: Final = (
    Setting("name", "text", None, "What the marketplace is called, for people.", "lubeck"),
    Setting(
        "did",
        "text",
        None,
        "Who the marketplace is on the ledger. `hansa init` writes the did:key of `keys/member.jwk` unless told.",
        "did:web:market.example",
    ),
    Setting(
        "endpoint",
        "text",
        None,
        "Where others reach it: scheme, host and port, as registered on the ledger.",
        "https://market.example:8443",
    ),
    Setting("listen_host", "text", "127.0.0.1", "Address of this machine that HTTP is served on.", "0.0.0.0"),  # noqa: S104 - an example
    Setting("listen_port", "whole number", 0, "Port that HTTP is served on; 0: the endpoint's port.", 8080),
    Setting(
        "p2p_host",
        "text",
        "127.0.0.1",
        "Address of this machine on which the engine listens for other members.",
        "0.0.0.0",  # noqa: S104 - an example
    ),
    Setting("p2p_port", "whole number", None, "Port on which the engine listens for other members.", 26656),
    Setting(
        "p2p_external_address",
        "text",
        "",
        "`host:port` at which other members reach the engine, when it differs from where it listens.",
        "market.example:26656",
    ),
    Setting(
        "persistent_peers",
        "list of texts",
        (),
        "The engines of the other members, as `<node id>@host:port`.",
        ("a94a8fe5ccb19ba61c4c0873d391e987982fbbd3@riga.example:26656",),
    ),
    Setting(
        "single_machine",
        "truth value",
        False,
        "Whether several members share this machine, as in the demo: the engine then accepts loopback addresses.",
        True,
    ),
    Setting(
        "allow_private_networks",
        "truth value",
        False,
        "Whether requests may go to private and loopback addresses. Leave it off where strangers can register a hub "
        "listener.",
        True,
    ),
    Setting(
        "log_level",
        "text",
        "info",
        "What is logged: `debug`, `info`, `warning` or `error`, and above.",
        "debug",
    ),
    Setting(
        "log_format",
        "text",
        "auto",
        "`json`, `console`, or `auto`: JSON lines, but coloured text on a terminal.",
        "json",
    ),
    Setting(
        "ready_lag_max_events",
        "whole number",
        5000,
        "How many events this marketplace may be behind the ledger and still call itself ready.",
        500,
    ),
    *BUSINESS_SETTINGS,
)

CHOICES: Final[dict[str, frozenset[str]]] = {
    "log_level": frozenset({"debug", "info", "warning", "error"}),
    "log_format": frozenset({"auto", "json", "console"}),
    "unknown_attributes": frozenset({"refuse", "keep"}),
    "unknown_extensions": frozenset({"keep", "refuse"}),
    "unresolved_references": frozenset({"warn", "refuse"}),
    "referenced_deletion": frozenset({"refuse", "warn"}),
}
"""What settings of a few words may say."""
