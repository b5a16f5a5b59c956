"""Delegations: a member says for which caller it forwards which write to which origin, and until when.

A delegation is a compact JWS with a header type of its own, by a key that the registry has for the member. It
is bound to the origin (`aud`), to the method and path of the write (`htm`, `htu`), to every byte of it with
its conditions and its idempotency key (`digest`), and to a short time. It names the caller by a pseudonym
alone. It stands beside the signature of the request itself (`hansa.identity.requests`), by the same member,
so that nobody can send the delegation of somebody else; and it is a record that proves later, without the
connection, who was behind a write. Its `jti` is used once; the origin remembers it in its store.

What it says of the caller (organisation, kind, powers) has the form of the statements that tokens are
exchanged for (`hansa.identity.statements`), and is signed and checked by the same functions; it is what the
origin's policies judge. The former form, which had roles alone, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from hansa.core.clock import Clock
from hansa.core.closed_json import FreeText, ListOf, Record, Text
from hansa.core.errors import Code, Refused
from hansa.core.forwarding import DELEGATION_HEADER, Actor, DelegationClaims, ForwardedWrite
from hansa.core.identifiers import DID_PATTERN, Entropy, uuid7
from hansa.core.jws import NUMERIC_DATE, token_header
from hansa.core.keys import KeySigner
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.identity.bindings import body_digest, violation
from hansa.identity.statements import ACTOR_CLAIMS, ACTOR_LISTS, actor_claims, read_actor, stated_by
from hansa.identity.verifying_keys import VerifyingKeys

DELEGATION_TYPE: Final = "write-delegation+jwt"
_HEADER: Final = token_header(DELEGATION_TYPE)
DELEGATION_SIZE_MAX_BYTES: Final = 16_384
SUBJECT_PATTERN: Final = "[0-9a-f]{64}"
ROLES_MAX: Final = 8
_CLAIMS: Final = Record(
    {
        "aud": Text(DID_PATTERN),
        "digest": Text("[A-Za-z0-9_-]{43}"),
        "exp": NUMERIC_DATE,
        "htm": Text("POST|PATCH|PUT|DELETE"),
        "htu": FreeText(2048),
        "iat": NUMERIC_DATE,
        "iss": Text(DID_PATTERN),
        "jti": Text("[0-9a-f-]{36}"),
        "sub": Text(SUBJECT_PATTERN),
        **ACTOR_CLAIMS,
    },
    {"roles": ListOf(Text("[a-z]{1,32}"), ROLES_MAX), **ACTOR_LISTS},
)


class DelegationSigner:
    """The `DelegationMaker` of this member."""

    def __init__(self, key: KeySigner, did: str, clock: Clock, entropy: Entropy, limits: Limits) -> None:
        self._key = key
        self._did = did
        self._clock = clock
        self._entropy = entropy
        self._age_max_s = limits.request_age_max_s

    def delegation(
        self, audience: str, subject: str, actor: Actor, write: ForwardedWrite, body: bytes
    ) -> str:
        """See `DelegationMaker`."""
        moment = self._clock.now()
        now = int(moment.timestamp())
        payload = _CLAIMS.write(
            {
                "aud": audience,
                "digest": body_digest(body),
                "exp": now + int(self._age_max_s),
                "htm": write.method,
                "htu": write.path,
                "iat": now,
                "iss": self._did,
                "jti": uuid7(moment, self._entropy),
                "sub": subject,
                **({"roles": tuple(sorted(actor.roles)[:ROLES_MAX])} if actor.roles else {}),
                **actor_claims(actor),
            }
        )
        return self._key.sign(payload, _HEADER, typ=DELEGATION_TYPE)


class DelegationCheck:
    """The `DelegationVerifier` of this member.

    Args:
        did: This member.
        members: The current members, with the keys that speak for them.
        clock: For the age of delegations.
        limits: `request_age_max_s`.
        keys: Shared with the check of requests.
    """

    def __init__(
        self,
        did: str,
        members: Callable[[], Iterable[Member]],
        clock: Clock,
        limits: Limits,
        keys: VerifyingKeys,
    ) -> None:
        self._did = did
        self._members = members
        self._clock = clock
        self._age_max_s = limits.request_age_max_s
        self._keys = keys

    def verified(self, compact: str, sender: str, body: bytes) -> DelegationClaims:
        """See `DelegationVerifier`."""
        if len(compact) > DELEGATION_SIZE_MAX_BYTES:
            raise _refused("is too long")
        inactive = "A member that is suspended, or none any more, forwards no writes."
        _, fields = stated_by(
            *(compact, _HEADER, _CLAIMS, sender, self._members(), self._keys, _refused), inactive=inactive
        )
        actor = read_actor(fields, frozenset(fields.pop("roles", ())))
        claims = DelegationClaims(actor=actor, **fields)
        self._check_binding(claims, body)
        return claims

    def _check_binding(self, claims: DelegationClaims, body: bytes) -> None:
        """Refuse a delegation that was made for another origin, another write or another time."""
        now_s = self._clock.now().timestamp()
        wrong = violation(claims, self._did, body, now_s, self._age_max_s)
        if wrong is not None:
            raise _refused(wrong)


def _refused(what: str) -> Refused:
    return Refused(Code.UNAUTHENTICATED, f"The {DELEGATION_HEADER} header {what}.")
