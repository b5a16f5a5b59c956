"""Delegations: a member says for which caller it forwards which write to which origin, and until when.

A delegation is a compact JWS with a header type of its own, by a key that the registry has for the member. It
is bound to the origin (`aud`), to the method and path of the write (`htm`, `htu`), to every byte of it with
its conditions and its idempotency key (`digest`), and to a short time. It names the caller by a pseudonym
alone. It stands beside the signature of the request itself (`hansa.identity.requests`), by the same member,
so that nobody can send the delegation of somebody else; and it is a record that proves later, without the
connection, who was behind a write. Its `jti` is used once; the origin remembers it in its store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from hansa.core.clock import Clock
from hansa.core.closed_json import FreeText, ListOf, Record, Text
from hansa.core.errors import Code, Refused
from hansa.core.forwarding import DELEGATION_HEADER, DelegationClaims, ForwardedWrite
from hansa.core.identifiers import DID_PATTERN, Entropy, uuid7
from hansa.core.jws import NUMERIC_DATE, read_compact, token_header
from hansa.core.keys import KeySigner
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.identity.bindings import body_digest, violation
from hansa.identity.verifying_keys import VerifyingKeys

DELEGATION_TYPE: Final = "write-delegation+jwt"
_HEADER: Final = token_header(DELEGATION_TYPE)
DELEGATION_SIZE_MAX_BYTES: Final = 8192
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
        "roles": ListOf(Text("[a-z]{1,32}"), ROLES_MAX),
        "sub": Text(SUBJECT_PATTERN),
    }
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
        self, audience: str, subject: str, roles: frozenset[str], write: ForwardedWrite, body: bytes
    ) -> str:
        """See `DelegationMaker`."""
        moment = self._clock.now()
        now = int(moment.timestamp())
        claims = DelegationClaims(
            iss=self._did,
            aud=audience,
            sub=subject,
            roles=tuple(sorted(roles))[:ROLES_MAX],
            htm=write.method,
            htu=write.path,
            digest=body_digest(body),
            iat=now,
            exp=now + int(self._age_max_s),
            jti=uuid7(moment, self._entropy),
        )
        payload = _CLAIMS.write({**msgspec.structs.asdict(claims), "roles": list(claims.roles)})
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
        try:
            jws = read_compact(compact, _HEADER)
            fields = _CLAIMS.read(jws.payload)
        except Refused as error:
            raise _refused("is malformed, or no delegation") from error
        claims = DelegationClaims(**{**fields, "roles": tuple(fields["roles"])})
        if claims.iss != sender:
            raise _refused("is another member's than the one that sends it")
        inactive = "A member that is suspended, or none any more, forwards no writes."
        self._keys.check_member(jws, sender, self._members(), _refused, inactive)
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
