"""To whom an entity belongs: the organisations that its related parties are.

A related party names an organisation by a `did:elsi:` in `name` or `id`. One that has no such DID is what its
`id` says: the identifier of an entity. When that is an entity of this marketplace that carries the identifier
of the caller's organisation, in `organizationIdentification` or `externalReference`, it is that organisation:
such identifiers are the *aliases* of an organisation. Any other is nobody's organisation. What other
marketplaces say of organisations makes nobody a party, since they are not to say who reads here.

Identifiers are compared letter by letter: another spelling is another organisation. A party that names
several organisations is all of them, so that it is never one organisation's alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from hansa.core.certificates.elsi import ELSI_PREFIX, read_organization
from hansa.core.parties import BUYER_ROLES, role_of

OWNER_ROLES: Final = frozenset({"owner", "seller"})
ROLE_MAX_CHARS: Final = 64
BY_ID: Final = "id:"
"""Before the identifier of an entity that a party is: it is never taken for that of an organisation."""
UNNAMED: Final = ""
"""Identifier of a party that is not said who it is: it is never anybody's organisation."""


class Parties(msgspec.Struct, frozen=True):
    """The organisations of an entity, by their identifiers."""

    owners: frozenset[str]
    buyers: frozenset[str]
    all: frozenset[str]
    roles: frozenset[tuple[str, str]]
    """Role, in lower case, and organisation."""


def parties_of(
    fields: Mapping[str, Any], attributes: Iterable[str], organization: str | None, aliases: frozenset[str]
) -> Parties:
    """The organisations of an entity.

    Args:
        fields: Its attributes.
        attributes: Those of them that hold related parties.
        organization: The caller's.
        aliases: What else that is called here.
    """
    owners, buyers, everyone, roles = set[str](), set[str](), set[str](), set[tuple[str, str]]()
    for party in _listed(fields, attributes):
        named, by_id = _organizations(party, organization, aliases)
        role = role_of(party)[:ROLE_MAX_CHARS]
        roles |= {(role, one) for one in named}
        everyone |= named | by_id
        if role in OWNER_ROLES:
            owners |= (named | _nested(party)) or {UNNAMED}
        elif role in BUYER_ROLES:
            buyers |= (named | _nested(party)) or {UNNAMED}
    return Parties(frozenset(owners), frozenset(buyers), frozenset(everyone), frozenset(roles))


def described_organizations(fields: Mapping[str, Any]) -> frozenset[str]:
    """The identifiers of organisations that an entity says it is, of type Organization."""
    values = (
        *_members(fields.get("organizationIdentification"), "identificationId"),
        *_members(fields.get("externalReference"), "name"),
    )
    organizations = (read_organization(one) for one in values if isinstance(one, str))
    return frozenset(one for one in organizations if one is not None)


def _organizations(
    party: Mapping[str, Any], organization: str | None, aliases: frozenset[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """The organisations that a party is; and one that its `id` alone says beside."""
    dids = _by_did(party.get("name"), party.get("id"))
    entity_id = party.get("id")
    if not isinstance(entity_id, str) or not entity_id or entity_id.startswith(ELSI_PREFIX):
        return dids, frozenset()
    described = (
        frozenset({organization})
        if entity_id in aliases and organization
        else frozenset({f"{BY_ID}{entity_id}"})
    )
    return (dids, described) if dids else (described, frozenset())


def _nested(party: Mapping[str, Any]) -> frozenset[str]:
    """Organisations that a party is in the form of version 5, which make it nobody else's alone."""
    inner = party.get("partyOrPartyRole")
    return _by_did(inner.get("name"), inner.get("id")) if isinstance(inner, dict) else frozenset()


def _by_did(*values: Any) -> frozenset[str]:
    return frozenset(
        one[len(ELSI_PREFIX) :] for one in values if isinstance(one, str) and one.startswith(ELSI_PREFIX)
    )


def _listed(fields: Mapping[str, Any], attributes: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    for attribute in attributes:
        value = fields.get(attribute)
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, dict):
                yield one


def _members(value: Any, attribute: str) -> Iterator[Any]:
    for one in value if isinstance(value, list) else (value,):
        if isinstance(one, dict):
            yield one.get(attribute)
