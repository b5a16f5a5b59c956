"""What trusted issuers may issue: the rows of the league's registry, applied to a credential.

An issuer may issue a credential when the registry grants it every type that the credential has, now. Mandates
are those of the issuer's own organisation: to give mandates in the name of others, an issuer needs a grant
with a claim of the path `$.mandate.mandator.organizationIdentifier`, whose values are the others, or anybody
when there are none.

A grant that names claims is a closed list: the credential's subject has no others, and those have the values
that are named, where any are. A path is a JSONPath in the subject (RFC 9535) of names and `*`; one with
anything else grants nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Refused
from hansa.core.trust.issuers import TRUSTED_ISSUER, AllowedClaim, CredentialGrant, TrustedIssuer
from hansa.identity.credentials.times import CLOCK_LEEWAY_S

_PATHS_CACHED_MAX: Final = 256
_NODES_MAX: Final = 1000
_EACH: Final = "*"
_SEGMENT_PATTERN: Final = r"(?:\.([A-Za-z_][A-Za-z0-9_-]*)|\['([^'\\]{1,128})'\]|\.\*|\[\*\])"
_SEGMENT: Final = re.compile(_SEGMENT_PATTERN, re.ASCII)
_PATH: Final = re.compile(rf"\$(?:{_SEGMENT_PATTERN}){{1,16}}", re.ASCII)
_MANDATOR: Final = ("mandate", "mandator", "organizationIdentifier")
_IDENTIFIER: Final = "id"
"""Names the subject, and is no claim about it."""


class TrustedIssuers(Protocol):
    """The trusted issuers of a league, or of an operator."""

    async def of_did(self, did: str) -> TrustedIssuer | None:
        """An issuer with what it may issue; None when it is none.

        Raises:
            Unavailable: When it cannot be told now.
        """


class ListedIssuers:
    """The `TrustedIssuers` of a list."""

    def __init__(self, issuers: Sequence[TrustedIssuer]) -> None:
        self._issuers = {issuer.did: issuer for issuer in issuers}

    async def of_did(self, did: str) -> TrustedIssuer | None:
        """See `TrustedIssuers`."""
        return self._issuers.get(did)


def read_issuers(content: bytes) -> tuple[TrustedIssuer, ...]:
    """The issuers in a file: one object, a list, or one a line, each as a proposal of `issuer` has it.

    Raises:
        Refused: `Code.INVALID`.
    """
    text = content.strip()
    try:
        values = (
            [msgspec.json.decode(line) for line in text.splitlines() if line.strip()]
            if b"\n{" in text
            else msgspec.json.decode(text)
        )
        rows = values if isinstance(values, list) else [values]
        return tuple(TRUSTED_ISSUER.read(_canonical(row)) for row in rows)
    except (*UNREADABLE, Refused) as error:
        raise Refused(Code.INVALID, f"It does not hold trusted issuers: {error}") from error


def _canonical(row: Any) -> bytes:
    return json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def check_granted(
    issuer: TrustedIssuer,
    types: Sequence[str],
    subject: Mapping[str, Any],
    now_s: int,
    *,
    is_for_another: bool = False,
) -> None:
    """Check that an issuer may issue a credential.

    Args:
        issuer: With its grants.
        types: Of the credential.
        subject: Its claims.
        now_s: Seconds since 1970.
        is_for_another: Whether it is a mandate of another organisation than the issuer's.

    Raises:
        Refused: `Code.CREDENTIAL_TYPE_UNTRUSTED`, saying which type or claim is not granted.
    """
    for type_name in types:
        grants = [grant for grant in issuer.credentials if grant.type == type_name]
        current = [
            grant
            for grant in grants
            if grant.from_s - CLOCK_LEEWAY_S <= now_s <= grant.until_s + CLOCK_LEEWAY_S
        ]
        if not current:
            what = "was, or will be," if grants else "is"
            raise _untrusted(f"{issuer.did} {what} not trusted for {type_name} at this time")
        reasons = [_violation(grant, subject, is_for_another) for grant in current]
        if all(reason is not None for reason in reasons):
            raise _untrusted(f"{issuer.did} may not issue {type_name} with this: {reasons[0]}")


def _violation(grant: CredentialGrant, subject: Mapping[str, Any], is_for_another: bool) -> str | None:
    """What of a subject a grant does not allow; None: nothing."""
    if is_for_another and not any(_names(claim) == _MANDATOR for claim in grant.claims):
        return "the mandate is one of another organisation, and the grant does not name mandators"
    if not grant.claims:
        return None
    allowed = {_names(claim)[0] for claim in grant.claims}
    others = sorted(subject.keys() - allowed - {_IDENTIFIER})
    if others:
        return f"the claim {others[0][:64]!r} is not one of those that are granted"
    for claim in grant.claims:
        values = _values(claim, subject)
        wrong = [value for value in values if claim.values and value not in claim.values]
        if wrong:
            return f"the claim {claim.name!r} has a value that is not granted"
    return None


def _values(claim: AllowedClaim, subject: Mapping[str, Any]) -> list[Any]:
    """The values of a claim; those of a list one by one."""
    values: list[Any] = [subject]
    for name in _names(claim):
        inner: list[Any] = []
        for value in values:
            if isinstance(value, dict):
                inner += value.values() if name == _EACH else [value[name]] if name in value else []
            elif isinstance(value, list) and name == _EACH:
                inner += value
        if len(inner) > _NODES_MAX:
            raise _untrusted(f"the claim {claim.name!r} has more than {_NODES_MAX} values")
        values = inner
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


@lru_cache(_PATHS_CACHED_MAX)
def _names(claim: AllowedClaim) -> tuple[str, ...]:
    """The names on the way to a claim; `_EACH` stands for all of them.

    Raises:
        Refused: `Code.CREDENTIAL_TYPE_UNTRUSTED`, when the path is none that is supported.
    """
    if not claim.path:
        return (claim.name,)
    if _PATH.fullmatch(claim.path) is None:
        raise _untrusted(f"the registry has a path that is not supported: {claim.path!r}")
    names = [plain or quoted for plain, quoted in _SEGMENT.findall(claim.path)]
    return tuple(name or _EACH for name in names)


def _untrusted(what: str) -> Refused:
    return Refused(Code.CREDENTIAL_TYPE_UNTRUSTED, what)
