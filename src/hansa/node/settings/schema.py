"""The schema of the settings: every key with its kind, choices, default, meaning and an example.

Loading, `hansa.toml`, the environment, the checks of the command line and docs/settings.md all follow from
it.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from hansa.core.limits import Limits
from hansa.core.policies import (
    DeletionPolicy,
    FormerReplicas,
    ItemStates,
    MissingAttributes,
    UnknownAttributes,
    UnknownExtensions,
    UnresolvedPolicy,
)
from hansa.node.settings.limit_texts import LIMIT_TEXTS
from hansa.node.settings.login_settings import DEVELOPMENT_SETTINGS, WALLET_SETTINGS
from hansa.node.settings.setting import Kind, Setting, choice

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]
BusKind = Literal["cometbft", "light"]

LEDGER_LIMITS: Final = frozenset(
    {"event_size_max_bytes", "events_per_transaction_max", "transaction_size_max_bytes"}
)
"""Limits that all members must share; the genesis has them."""


BUSINESS_SETTINGS: Final = (
    choice(
        "unknown_attributes",
        UnknownAttributes,
        "refuse",
        "What becomes of attributes that a type does not have, in a body that announces no extension.",
        "keep",
    ),
    choice(
        "missing_attributes",
        MissingAttributes,
        "complete",
        "What becomes of a body that leaves out what its document requires: it is completed as far as the marketplace can "
        "tell, and the answer names what is still missing; or everything is demanded.",
        "strict",
    ),
    choice(
        "item_states",
        ItemStates,
        "follow",
        "What becomes of the items of an order that is completed, failed, cancelled or rejected as a whole: they follow, or "
        "they decide, and the order is refused to end before them.",
        "decide",
    ),
    choice(
        "unknown_extensions",
        UnknownExtensions,
        "keep",
        "What becomes of a body that announces an extension whose schema is not registered here.",
        "refuse",
    ),
    choice(
        "unresolved_references",
        UnresolvedPolicy,
        "warn",
        "What becomes of a write that refers to an entity which is not (yet) here.",
        "refuse",
    ),
    choice(
        "referenced_deletion",
        DeletionPolicy,
        "refuse",
        "What becomes of the deletion of an entity that others refer to.",
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
        "allowed_origins",
        "list of texts",
        (),
        "Web origins whose pages may send tokens to the TM Forum APIs and to `/league/v1`, and read the answers. Pages of every origin may read "
        "what is public.",
        ("https://shop.example",),
    ),
    Setting(
        "write_delegations",
        "list of texts",
        (),
        "Which members may forward which writes of their own clients to entities of this marketplace: rules of the form "
        "`MEMBER COLLECTIONS ACTIONS [ROLES]`, each part with commas or `*`. Without a rule, none may.",
        (
            "did:elsi:VATDE-123456789 ProductOffering,Category change",
            "* ProductSpecification change,delete operator",
        ),
    ),
    Setting(
        "operator_organizations",
        "list of texts",
        (),
        "Identifiers of organisations whose employees are operators here when their credential has the power "
        "`Onboarding`/`Execute`. The organisation of a marketplace with a did:elsi is one without being named.",
        ("VATES-B60645900",),
    ),
    Setting(
        "party_operators",
        "list of texts",
        (),
        "Which members are the operators of parties in `relatedParty` that are no members themselves: the DID of a party and "
        "the DID of a member each. What is confidential goes to the operators of its parties.",
        ("did:elsi:VATES-B60645900 did:elsi:VATDE-123456789",),
    ),
    choice(
        "former_members_replicas",
        FormerReplicas,
        "retain",
        "What becomes of the replicas of members that left the league or were removed. What was sealed for this marketplace "
        "stays.",
        "drop",
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


PORTAL_SETTINGS: Final = (
    Setting(
        "portal_accent",
        "text",
        "#0b5cad",
        "Colour of links and buttons of the web pages on white, `#rrggbb`. One that cannot be read on it is refused.",
        "#8a1538",
    ),
    Setting(
        "portal_accent_dark",
        "text",
        "#79b8ff",
        "The same in the dark theme, on `#14171c`.",
        "#ffb3c7",
    ),
    Setting(
        "portal_logo",
        "text",
        "",
        "A file in the marketplace's folder, SVG or PNG of 64 KiB at most, shown beside the name; empty: none.",
        "logo.svg",
    ),
    Setting(
        "portal_imprint",
        "text",
        "",
        "Address of the page that says who runs this marketplace, linked at the foot of every page; empty: no link.",
        "https://market.example/imprint",
    ),
    Setting(
        "portal_terms",
        "text",
        "",
        "Address of the terms of use, linked at the foot of every page; empty: no link.",
        "https://market.example/terms",
    ),
)
"""How the web pages look."""

OWN_SETTINGS: Final = (
    Setting("name", "text", None, "What the marketplace is called, for people.", "lubeck"),
    Setting(
        "did",
        "text",
        None,
        "The marketplace's identity on the ledger. By default `hansa init` writes the did:key of `keys/member.jwk`.",
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
        "metrics_listen",
        "text",
        "",
        "`host:port`, or a port of the loopback address, at which `/metrics` is served without a token, and nothing else; "
        "empty: nowhere. At the endpoint `/metrics` takes an operator's token.",
        "9464",
    ),
    Setting(
        "trusted_proxies",
        "list of texts",
        (),
        "Addresses or networks of reverse proxies whose `Forwarded` or `X-Forwarded-For` names the client. Behind a proxy "
        "that is not listed, all its clients share what one address may have.",
        ("127.0.0.1", "10.0.0.0/8"),
    ),
    choice(
        "bus",
        BusKind,
        "cometbft",
        "How the ledger is reached: by an engine of this marketplace's own, or, for a light member, by verifying what other "
        "members give (docs/operators/light-members.md).",
        "light",
    ),
    Setting(
        "followed_members",
        "list of texts",
        (),
        "Of a light member: the endpoints of the members that it follows, eight at most are; empty: those that run a "
        "validator.",
        ("https://lubeck.example", "https://bergen.example"),
    ),
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
        "ledger_blocks_retained",
        "whole number",
        0,
        "How many of the ledger's last blocks the engine retains, 100,000 at least; 0: all. Blocks younger than three weeks "
        "stay in any case, and what proofs need of all others (`ledger/light.db`). Without the first blocks the "
        "ledger's state cannot be rebuilt from them.",
        1_000_000,
    ),
    Setting(
        "ledger_upgrade_height",
        "whole number",
        0,
        "For a league that was founded under `hansa-ledger/3`: the block from which on it judges by `hansa-ledger/4`, the same "
        "at all members; 0: none. See docs/operators/upgrade.md. Later rules are decided by vote.",
        250_000,
    ),
    Setting(
        "single_machine",
        "truth value",
        False,
        "Whether several members share this machine, as in the demo, or an address: the engine then accepts loopback addresses, "
        "and more than one engine of an address.",
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
    choice(
        "log_level",
        LogLevel,
        "info",
        "The lowest level that is logged.",
        "debug",
    ),
    choice(
        "log_format",
        LogFormat,
        "auto",
        "How log lines are written; `auto` is JSON, but coloured text on a terminal.",
        "json",
    ),
    Setting(
        "access_log",
        "truth value",
        False,
        "Whether a line is logged for every request: its identifier, method, path, status, time and client, never its query "
        "string.",
        True,
    ),
    Setting(
        "ready_lag_max_events",
        "whole number",
        5000,
        "How many events this marketplace may be behind the ledger and still call itself ready.",
        500,
    ),
    *BUSINESS_SETTINGS,
    *PORTAL_SETTINGS,
    *WALLET_SETTINGS,
    *DEVELOPMENT_SETTINGS,
)


LIMIT_EXAMPLES: Final[dict[str, float]] = {"decision_log_allowed_every": 100, "login_lifetime_s": 120.0}
"""Of those for which twice their default is none."""


def _limit_settings() -> tuple[Setting, ...]:
    settings = []
    for field in msgspec.structs.fields(Limits):
        if field.name in LEDGER_LIMITS:
            continue
        kind: Kind = "whole number" if field.type is int else "number"
        text = LIMIT_TEXTS.get(field.name, "")
        example = LIMIT_EXAMPLES.get(field.name, 2 * field.default)
        settings.append(Setting(field.name, kind, field.default, text, example))
    return tuple(settings)


LIMIT_SETTINGS: Final = _limit_settings()
SCHEMA: Final = OWN_SETTINGS + LIMIT_SETTINGS
BY_KEY: Final = {setting.key: setting for setting in SCHEMA}
