"""Members: the marketplaces of a league, as the ledger's registry knows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from hansa.core.closed_json import Form, FreeText, Integer, ListOf, Record, Text
from hansa.core.closed_structs import StructForm
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import DID_PATTERN, IDENTIFIER_PREFIX_MAX_CHARS, has_identifier_prefix
from hansa.core.jws import KEY_ID
from hansa.core.keys import PublicJwk

MemberStatus = Literal["active", "left", "removed", "suspended"]
"""`active`: it may publish and vote. `suspended`: it may vote, and publish nothing. `left` and `removed`: it
is a member no more; the registry retains it for what it published."""

POWER_MAX: Final = 1_000_000_000
"""Voting power of one member; far below what the engine can add up."""
KEYS_MAX: Final = 16
NODE_IDS_MAX: Final = 16
PREFIXES_MAX: Final = 64

_NODE_ID_PATTERN: Final = "[0-9a-f]{40}"
VALIDATOR_KEY_PATTERN_3: Final = "[0-9a-f]{64}"
"""Of Ed25519 alone: 32 bytes."""
VALIDATOR_KEY_PATTERN: Final = "[0-9a-f]{64}|[0-9a-f]{3904}"
"""Of Ed25519 or of ML-DSA-65: 32 or 1,952 bytes."""
_NODE_ID: Final = re.compile(_NODE_ID_PATTERN, re.ASCII)
_COORDINATE: Final = Text("[A-Za-z0-9_-]{43}")
_ELSI_COUNTRY: Final = re.compile("did:elsi:(?:[A-Z]{3}|[A-Z]{2}:)([A-Z]{2})-", re.ASCII)
_PRINTABLE: Final = r"[!#-\[\]-~]"


PUBLIC_JWK: Final = StructForm(
    PublicJwk,
    {"crv": Text("P-256|Ed25519"), "kid": KEY_ID, "kty": Text("EC|OKP"), "x": _COORDINATE},
    {"y": _COORDINATE},
)
"""The closed form of a public key."""
ENDPOINT: Final = Text(_PRINTABLE + "{1,512}")
"""The closed form of an endpoint; which of these texts are endpoints, `normal_endpoint` says."""
PREFIXES: Final = ListOf(Text(_PRINTABLE + f"{{1,{IDENTIFIER_PREFIX_MAX_CHARS}}}"), PREFIXES_MAX)
"""The closed form of registered prefixes of identifiers."""
MEMBER_NAME: Final = FreeText(64)
AGREEMENT_KEY: Final = Text("[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
"""The closed form of a public key for key agreement: base64url of 32 bytes."""
COUNTRY: Final = Text("[A-Z]{2}")


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member of the league: who it is, where it is, which keys speak for it."""

    did: str
    name: str
    endpoint: str
    """Origin of its public HTTP interface, `scheme://host[:port]`, without a trailing slash."""
    keys: tuple[PublicJwk, ...]
    power: int
    """Voting power on the ledger; 0 for a member that runs no validator."""
    status: MemberStatus = "active"
    node_ids: tuple[str, ...] = ()
    """Of its engines: who they are to the engines of the others, which take no other peers. 40 hexadecimal
    digits each, lower case."""
    validator_key: str = ""
    """Of its validator: Ed25519, 64 hexadecimal digits, or ML-DSA-65, 3,904 of them, lower case; empty when
    it runs none."""
    prefixes: tuple[str, ...] = ()
    """Beginnings of identifiers that it alone may publish (`hansa.core.identifiers.is_identifier_prefix`)."""
    agreement_key: str = ""
    """With which events are sealed for it (`hansa.core.confidential`): X25519, base64url; empty: nothing
    confidential can be sent to it."""
    country: str = ""
    """Where it is, as the members have decided: ISO 3166-1, two letters; empty: see `country_of`."""

    @property
    def is_current(self) -> bool:
        """Whether it is a member still, suspended or not."""
        return self.status in {"active", "suspended"}

    def key(self, kid: str) -> PublicJwk | None:
        """The member's key of that name."""
        return next((key for key in self.keys if key.kid == kid), None)


_REQUIRED: Final[Mapping[str, Form]] = {
    "did": Text(DID_PATTERN),
    "endpoint": ENDPOINT,
    "keys": ListOf(PUBLIC_JWK, KEYS_MAX),
    "name": MEMBER_NAME,
    "power": Integer(0, POWER_MAX),
}
_OPTIONAL_3: Final[Mapping[str, Form]] = {
    "node_ids": ListOf(Text(_NODE_ID_PATTERN), NODE_IDS_MAX),
    "prefixes": PREFIXES,
    "status": Text("active|left|removed|suspended"),
    "validator_key": Text(VALIDATOR_KEY_PATTERN),
}
MEMBER: Final = StructForm(
    Member, _REQUIRED, {**_OPTIONAL_3, "agreement_key": AGREEMENT_KEY, "country": COUNTRY}
)
"""How the registry stores and hashes a member. A new field is an optional one, with a default."""

MEMBER_3: Final = Record(
    _REQUIRED,
    {
        **_OPTIONAL_3,
        "status": Text("active|suspended"),
        "validator_key": Text(VALIDATOR_KEY_PATTERN_3),
    },
)
"""The same under `hansa-ledger/3`, where nobody leaves a league."""


def prefix_owner(members: Iterable[Member], entity_id: str) -> Member | None:
    """The member that has registered the prefix of an identifier; None when nobody has."""
    return next(
        (
            member
            for member in members
            for prefix in member.prefixes
            if has_identifier_prefix(entity_id, prefix)
        ),
        None,
    )


def is_node_id(text: str) -> bool:
    """Whether a text is the node id of an engine: the first 20 bytes of a key's SHA-256, in hex."""
    return _NODE_ID.fullmatch(text) is not None


_HOST: Final = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:[.][a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
_CLOSED_ENDPOINT: Final = re.compile(
    rf"https?://(?:(?P<name>{_HOST})|\[(?P<ipv6>[0-9a-f:]{{2,39}})\])(?::(?P<port>[1-9][0-9]{{0,4}}))?",
    re.ASCII,
)
_IPV6_GROUP: Final = re.compile("[0-9a-f]{1,4}", re.ASCII)
_IPV6_GROUPS: Final = 8
_HOST_MAX_CHARS: Final = 253
_PORT_MAX: Final = 65_535


def is_endpoint(text: str) -> bool:
    """Whether a text is an endpoint in its one form; by rules of our own, alike for every interpreter."""
    match = _CLOSED_ENDPOINT.fullmatch(text)
    if match is None or int(match["port"] or 1) > _PORT_MAX or len(match["name"] or "") > _HOST_MAX_CHARS:
        return False
    return match["ipv6"] is None or _is_ipv6(match["ipv6"])


def _is_ipv6(text: str) -> bool:
    """Whether a text is an address of RFC 4291, section 2.2, forms 1 and 2."""
    parts = text.split("::")
    groups = [group for part in parts if part for group in part.split(":")]
    is_complete = len(groups) == _IPV6_GROUPS if len(parts) == 1 else len(groups) < _IPV6_GROUPS
    return len(parts) <= 2 and is_complete and all(map(_IPV6_GROUP.fullmatch, groups))


def normal_endpoint(text: str) -> str:
    """An endpoint as it is registered: lower-case scheme and host, no path, no trailing slash.

    Raises:
        Refused: `Code.INVALID`, when it is not an http(s) origin.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise Refused(Code.INVALID, f"{text!r} is not a web address.") from error
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
        or parts.username is not None
    ):
        raise Refused(
            Code.INVALID,
            f"{text!r} is not an endpoint: give scheme, host and port, as https://market.example:8443.",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def country_of(member: Member) -> str | None:
    """Where a member is: as the members have decided, or as its did:elsi says; None when nothing says it.

    A did:elsi holds the country of the register in which the legal person is (ETSI EN 319 412-1, section
    5.1.4), and its keys have certificates for it.
    """
    if member.country:
        return member.country
    match = _ELSI_COUNTRY.match(member.did)
    return match[1] if match is not None else None
