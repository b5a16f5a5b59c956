"""Delegations of people: a member states who acts at another member, for which organisation, until when.

    typ   person-delegation+jwt, signed by a key that the ledger has for the member
    iss   the member, at which the person presented the credential; aud: the member that is to act
    sub   a pseudonym, another one for every audience
    organization, kind, powers, scope       what the credential says, and what of it is asked for
    client   through which client; iat, exp: a short time, once (jti)

It is what a token of one member is exchanged for, and what is exchanged for a token of another one (RFC
8693). What a member states is worth as much as the member: the receiving one decides whose statements it
takes (`hansa.identity.delegation_rules`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from hansa.core.access import Power
from hansa.core.clock import Clock, epoch_s
from hansa.core.closed_json import Form, FreeText, ListOf, Record, Text
from hansa.core.errors import Code, Refused
from hansa.core.forwarding import Actor
from hansa.core.identifiers import DID_PATTERN, Entropy, uuid7
from hansa.core.jws import NUMERIC_DATE, CompactJws, read_compact, token_header
from hansa.core.keys import KeySigner
from hansa.core.members import Member
from hansa.identity.credentials.replay import RecentPresentations
from hansa.identity.credentials.times import CLOCK_LEEWAY_S
from hansa.identity.principal import Principal, PrincipalKind, caller_of
from hansa.identity.verifying_keys import VerifyingKeys

STATEMENT_TYPE: Final = "person-delegation+jwt"
STATEMENT_SIZE_MAX_BYTES: Final = 16_384
STATEMENT_LIFETIME_S: Final = 300
STATEMENTS_MAX: Final = 100_000
PSEUDONYM_PURPOSE: Final = b"hansa delegated people 1"

_HEADER: Final = token_header(STATEMENT_TYPE)
_POWER: Final = Record(
    {"actions": ListOf(FreeText(64), 32), "domain": FreeText(512), "function": FreeText(512)}
)
ACTOR_CLAIMS: Final[Mapping[str, Form]] = {
    "kind": Text("employee|machine"),
    "organization": FreeText(256),
}
"""What a member states of somebody, in every statement."""
ACTOR_LISTS: Final[Mapping[str, Form]] = {"powers": ListOf(_POWER, 128)}
"""The same, left out when there are none."""
_CLAIMS: Final = Record(
    {
        "aud": Text(DID_PATTERN),
        "client": FreeText(256),
        "exp": NUMERIC_DATE,
        "iat": NUMERIC_DATE,
        "iss": Text(DID_PATTERN),
        "jti": Text("[0-9a-f-]{36}"),
        "scope": FreeText(256),
        "sub": Text("[0-9a-f]{64}"),
        **ACTOR_CLAIMS,
    },
    ACTOR_LISTS,
)


class PersonStatement(msgspec.Struct, frozen=True):
    """What a member states."""

    iss: str
    aud: str
    sub: str
    client: str
    organization: str
    kind: PrincipalKind
    powers: tuple[Power, ...]
    scope: str
    iat: int
    exp: int
    jti: str


class StatementSigner:
    """States who acts, in the name of this member.

    Args:
        key: Of this member.
        did: This member.
        pseudonym_key: Of this member, for nothing else.
        clock: For times.
        entropy: For names.
    """

    def __init__(
        self, key: KeySigner, did: str, pseudonym_key: bytes, clock: Clock, entropy: Entropy
    ) -> None:
        self._key = key
        self._did = did
        self._pseudonym_key = pseudonym_key
        self._clock = clock
        self._entropy = entropy

    def statement(
        self, audience: str, principal: Principal, client: str, scopes: Iterable[str], until_s: int
    ) -> tuple[str, int]:
        """A statement that is good once at another member, and until when; not beyond `until_s`."""
        moment = self._clock.now()
        now_s = int(moment.timestamp())
        expires_s = min(now_s + STATEMENT_LIFETIME_S, until_s)
        pseudonym = hmac.new(self._pseudonym_key, f"{audience} {principal.subject}".encode(), hashlib.sha256)
        claims: dict[str, Any] = {
            "aud": audience,
            "client": client,
            "exp": expires_s,
            "iat": now_s,
            "iss": self._did,
            "jti": uuid7(moment, self._entropy),
            **actor_claims(Actor.of(caller_of(principal))),
            "scope": " ".join(scopes),
            "sub": pseudonym.hexdigest(),
        }
        return self._key.sign(_CLAIMS.write(claims), _HEADER, typ=STATEMENT_TYPE), expires_s


class StatementCheck:
    """Verifies statements of other members. To be used on one event loop.

    Args:
        did: This member.
        members: The current members, with the keys that speak for them.
        clock: For times.
        keys: Shared with other checks.
    """

    def __init__(
        self, did: str, members: Callable[[], Iterable[Member]], clock: Clock, keys: VerifyingKeys
    ) -> None:
        self._did = did
        self._members = members
        self._clock = clock
        self._keys = keys
        self._used = RecentPresentations(STATEMENTS_MAX)

    def verified(self, compact: str, sender: str) -> PersonStatement:
        """What a member states that sends its statement itself; it is good no more.

        Raises:
            Refused: `Code.UNAUTHENTICATED` or `Code.FORBIDDEN`.
            Unavailable: `Code.OVERLOADED`.
        """
        if len(compact) > STATEMENT_SIZE_MAX_BYTES:
            raise _refused("is too long")
        inactive = "A member that is suspended, or none any more, delegates nothing."
        jws, fields = stated_by(
            *(compact, _HEADER, _CLAIMS, sender, self._members(), self._keys, _refused), inactive=inactive
        )
        if fields["aud"] != self._did:
            raise _refused("is for another member")
        now_s = epoch_s(self._clock)
        is_short = fields["exp"] - fields["iat"] <= STATEMENT_LIFETIME_S
        if fields["iat"] > now_s + CLOCK_LEEWAY_S or now_s >= fields["exp"] + CLOCK_LEEWAY_S or not is_short:
            raise _refused("has expired, is of the future, or for too long")
        try:
            self._used.use(jws.signing_input, now_s, fields["exp"] + CLOCK_LEEWAY_S + 1)
        except Refused as error:
            raise _refused("was used before") from error
        actor = read_actor(fields)
        return PersonStatement(
            organization=actor.organization, kind=actor.kind, powers=actor.powers, **fields
        )


def actor_claims(actor: Actor) -> dict[str, Any]:
    """What a statement says of somebody."""
    powers = tuple(
        {"actions": one.actions, "domain": one.domain, "function": one.function} for one in actor.powers
    )
    claims: dict[str, Any] = {"kind": actor.kind, "organization": actor.organization}
    return {**claims, "powers": powers} if powers else claims


def read_actor(fields: dict[str, Any], roles: frozenset[str] = frozenset()) -> Actor:
    """Of whom a statement is; that is taken out of its fields."""
    organization, kind = fields.pop("organization"), fields.pop("kind")
    powers = tuple(
        Power(one["domain"], one["function"], tuple(one["actions"])) for one in fields.pop("powers", ())
    )
    return Actor(roles, organization, kind, powers)


def stated_by(
    compact: str,
    header: Record,
    claims: Record,
    sender: str,
    members: Iterable[Member],
    keys: VerifyingKeys,
    refused: Callable[[str], Refused],
    *,
    inactive: str,
) -> tuple[CompactJws, dict[str, Any]]:
    """What an active member states of somebody that sends it itself, and signed.

    Raises:
        Refused: As `refused` makes it, or `Code.FORBIDDEN`.
    """
    try:
        jws = read_compact(compact, header)
        fields: dict[str, Any] = dict(claims.read(jws.payload))
    except Refused as error:
        raise refused("is malformed, or no delegation") from error
    if fields["iss"] != sender:
        raise refused("is another member's than the one that sends it")
    member = next((one for one in members if one.did == sender), None)
    if member is None or member.status != "active":
        raise Refused(Code.FORBIDDEN, inactive)
    keys.check_signature(jws, member, refused)
    return jws, fields


def _refused(what: str) -> Refused:
    return Refused(Code.UNAUTHENTICATED, f"The delegation {what}.")
