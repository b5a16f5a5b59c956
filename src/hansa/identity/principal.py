"""Who is logged in: the person or the machine behind a verified presentation, and the roles that follow.

Rights come from the credential and from nothing else: organisation, powers and end are those of its mandate.
What `hansa.core.access` calls a role follows from the powers by a short table, and whoever is not in it has
no role:

| who | role |
|---|---|
| an employee or a machine with `ProductOffering` and one of `Create`, `Update` and `Delete` | `provider` |
| an employee of the marketplace's own organisation with `Onboarding` and `Execute` | `operator` |

The domain of such a power is the marketplace's (`DOME`), so a power of another domain gives nothing here.

Somebody who shows an identity document of a type that the operator named acts for nobody else: a person
without organisation, powers and roles, known by a pseudonym of this marketplace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from hansa.core.access import OPERATOR, PROVIDER, Caller, Power
from hansa.core.base64url import to_base64url
from hansa.core.certificates.elsi import ELSI_PREFIX
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import is_did
from hansa.identity.credentials.identity_documents import read_identified_person
from hansa.identity.credentials.mandate import Mandate, MandatedPerson
from hansa.identity.credentials.refusals import CredentialRefused
from hansa.identity.credentials.status.references import HeldStatus
from hansa.identity.credentials.verifier import CredentialFormat, VerifiedCredential

POWERS_DOMAIN: Final = "DOME"
"""Of the powers that mean something to a marketplace, unless it says otherwise."""

_OFFERING: Final = "ProductOffering"
_OFFERING_ACTIONS: Final = ("Create", "Update", "Delete")
_ONBOARDING: Final = ("Onboarding", "Execute")

PrincipalKind = Literal["employee", "machine", "person"]


class Principal(msgspec.Struct, frozen=True):
    """Somebody who presented a credential."""

    subject: str
    """Stable and pseudonymous: the mandatee's DID, when the holder proved to have it; else a digest."""
    organization: str
    """ETSI EN 319 412-1, as `VATES-12345678`; empty: of none, as an operator's own client or a person."""
    kind: PrincipalKind
    organization_name: str = ""
    country: str = ""
    """Of the organisation; ISO 3166, as the credential has it."""
    name: str = ""
    """For display; empty when the credential has none. Written by whoever issued the credential."""
    given_name: str = ""
    family_name: str = ""
    email: str = ""
    powers: tuple[Power, ...] = ()
    roles: frozenset[str] = frozenset()
    """Those of `hansa.core.access`."""
    credential_id: str = ""
    """Empty when the credential has none."""
    credential_expires_s: int | None = None
    """Last second at which the credential is good, since 1970; None: it names none."""
    credential_status: HeldStatus | None = None
    """Where its status is; None: it has none."""


class RoleRules(msgspec.Struct, frozen=True):
    """What a marketplace makes of powers."""

    operator_organizations: frozenset[str] = frozenset()
    """Organisation identifiers whose employees may be operators: the marketplace's own."""
    domain: str = POWERS_DOMAIN

    @classmethod
    def of(cls, own_did: str, organizations: Iterable[str] = ()) -> RoleRules:
        """The rules of the marketplace with a DID: its own organisation, by did:elsi, and some by name."""
        own = [own_did.removeprefix(ELSI_PREFIX)] if own_did.startswith(ELSI_PREFIX) else []
        return cls(frozenset([*own, *(one.removeprefix(ELSI_PREFIX) for one in organizations)]))

    def roles(self, kind: PrincipalKind, organization: str, mandate: Mandate) -> frozenset[str]:
        """The roles of whoever has a mandate."""
        roles = set()
        if any(mandate.covers(self.domain, _OFFERING, action) for action in _OFFERING_ACTIONS):
            roles.add(PROVIDER)
        is_own = kind == "employee" and organization in self.operator_organizations
        if is_own and mandate.covers(self.domain, *_ONBOARDING):
            roles.add(OPERATOR)
        return frozenset(roles)


class IdentityRules(msgspec.Struct, frozen=True):
    """Who logs in without an organisation."""

    types: frozenset[tuple[CredentialFormat, str]] = frozenset()
    """Identity documents that are enough, each as its format and its type."""
    key: bytes = b""
    """Secret of the marketplace from which pseudonyms follow."""


_NOBODY: Final = IdentityRules()


def principal_of(
    presentation: VerifiedCredential, rules: RoleRules, identities: IdentityRules = _NOBODY
) -> Principal:
    """Who presented a credential.

    Args:
        presentation: Verified, and presented by its holder.
        rules: Of this marketplace.
        identities: Who is somebody without a mandate.

    Raises:
        CredentialRefused: `Code.POWER_MISSING`, when it is neither a mandate nor an identity document that is
            enough, or not shown by its holder; `Code.CREDENTIAL_NOT_REQUESTED`, when the document does not
            disclose who it is.
    """
    mandate = presentation.mandate
    if not presentation.is_presented:
        raise _refused(presentation, "nobody proved to be its holder")
    if mandate is None:
        return _identified(presentation, identities)
    kind: PrincipalKind = "employee" if isinstance(mandate.mandatee, MandatedPerson) else "machine"
    organization = mandate.organization
    return Principal(
        subject=_subject(presentation, mandate),
        organization=organization.identifier,
        kind=kind,
        organization_name=organization.name or organization.common_name,
        country=organization.country,
        name=_name(mandate),
        given_name=getattr(mandate.mandatee, "first_name", ""),
        family_name=getattr(mandate.mandatee, "last_name", ""),
        email=getattr(mandate.mandatee, "email", ""),
        powers=mandate.powers,
        roles=rules.roles(kind, organization.identifier, mandate),
        credential_id=presentation.id,
        credential_expires_s=presentation.end_s,
        credential_status=presentation.status,
    )


def _identified(presentation: VerifiedCredential, identities: IdentityRules) -> Principal:
    """The person whom an identity document names."""
    named = [(presentation.format, one) for one in presentation.types]
    if len(named) != 1 or named[0] not in identities.types:
        raise _refused(presentation, "a credential without a mandate of an organisation")
    ((_, type_name),) = named
    try:
        claims = msgspec.json.decode(presentation.claims)
        person = read_identified_person(presentation.format, type_name, claims)
    except Refused as error:
        steps = (*presentation.steps, f"{error.code}: {error.message}")
        raise CredentialRefused(error.code, steps) from error
    return Principal(
        subject=person.subject(identities.key),
        organization="",
        kind="person",
        name=person.name,
        credential_expires_s=presentation.end_s,
        credential_status=presentation.status,
    )


def caller_of(principal: Principal) -> Caller:
    """The caller that somebody is who is logged in."""
    return Caller(
        subject=principal.subject,
        roles=principal.roles,
        organization=principal.organization or None,
        powers=principal.powers,
        is_machine=principal.kind == "machine",
        credential_id=principal.credential_id,
        credential_expires_s=principal.credential_expires_s,
    )


def _subject(presentation: VerifiedCredential, mandate: Mandate) -> str:
    """The subject. An issuer can write any DID into a mandate: it counts when the holder signed with it."""
    named = mandate.mandatee.id
    if is_did(named) and presentation.holder_did == named:
        return named
    content = msgspec.json.encode(
        [mandate.organization.identifier, named or presentation.id or mandate.mandatee]
    )
    return f"urn:hansa:subject:{to_base64url(hashlib.sha256(content).digest())}"


def _name(mandate: Mandate) -> str:
    mandatee = mandate.mandatee
    if isinstance(mandatee, MandatedPerson):
        return f"{mandatee.first_name} {mandatee.last_name}".strip()
    return mandatee.service_name or mandatee.domain


def _refused(presentation: VerifiedCredential, why: str) -> CredentialRefused:
    return CredentialRefused(Code.POWER_MISSING, (*presentation.steps, f"{Code.POWER_MISSING}: {why}"))
