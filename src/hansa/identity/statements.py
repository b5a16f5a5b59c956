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
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from hansa.core.access import Power
from hansa.core.clock import Clock, epoch_s
from hansa.core.closed_json import FreeText, ListOf, Record, Text
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import DID_PATTERN, Entropy, uuid7
from hansa.core.jws import NUMERIC_DATE, read_compact, token_header
from hansa.core.keys import KeySigner
from hansa.core.members import Member
from hansa.identity.credentials.replay import RecentPresentations
from hansa.identity.credentials.times import CLOCK_LEEWAY_S
from hansa.identity.principal import Principal, PrincipalKind
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
_CLAIMS: Final = Record(
    {
        "aud": Text(DID_PATTERN),
        "client": FreeText(256),
        "exp": NUMERIC_DATE,
        "iat": NUMERIC_DATE,
        "iss": Text(DID_PATTERN),
        "jti": Text("[0-9a-f-]{36}"),
        "kind": Text("employee|machine"),
        "organization": FreeText(256),
        "powers": ListOf(_POWER, 128),
        "scope": FreeText(256),
        "sub": Text("[0-9a-f]{64}"),
    }
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
            "kind": principal.kind,
            "organization": principal.organization,
            "powers": tuple(
                {"actions": one.actions, "domain": one.domain, "function": one.function}
                for one in principal.powers
            ),
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
        try:
            jws = read_compact(compact, _HEADER)
            fields = _CLAIMS.read(jws.payload)
        except Refused as error:
            raise _refused("is malformed, or no delegation") from error
        if fields["iss"] != sender or fields["aud"] != self._did:
            raise _refused("is of another member, or for another one")
        inactive = "A member that is suspended, or none any more, delegates nothing."
        self._keys.check_member(jws, sender, self._members(), _refused, inactive)
        now_s = epoch_s(self._clock)
        is_short = fields["exp"] - fields["iat"] <= STATEMENT_LIFETIME_S
        if fields["iat"] > now_s + CLOCK_LEEWAY_S or now_s >= fields["exp"] + CLOCK_LEEWAY_S or not is_short:
            raise _refused("has expired, is of the future, or for too long")
        try:
            self._used.use(jws.signing_input, now_s, fields["exp"] + CLOCK_LEEWAY_S + 1)
        except Refused as error:
            raise _refused("was used before") from error
        powers = tuple(Power(one["domain"], one["function"], one["actions"]) for one in fields["powers"])
        return PersonStatement(**{**fields, "powers": powers})


def _refused(what: str) -> Refused:
    return Refused(Code.UNAUTHENTICATED, f"The delegation {what}.")
