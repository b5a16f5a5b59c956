"""What a command says of a credential that was verified."""

from __future__ import annotations

from typing import Any

import msgspec

from hansa.core.clock import rfc3339_at_ms
from hansa.core.foreign_text import printable
from hansa.identity.credentials import Mandate, MandatedPerson, VerifiedCredential


def document_of(credential: VerifiedCredential) -> dict[str, Any]:
    """What is known of a credential, for programs."""
    issuer = credential.issuer
    return {
        "accepted": True,
        "format": credential.format,
        "types": credential.types,
        "id": credential.id,
        "issuer": {
            "id": issuer.id,
            "name": issuer.name,
            "proof": issuer.proof,
            "anchor": issuer.anchor,
            "key": issuer.key.kind,
        },
        "mandate": credential.mandate,
        "valid_from_s": credential.begin_s,
        "valid_until_s": credential.end_s,
        "has_status": credential.status is not None,
        "presented": credential.is_presented,
        "claims": msgspec.Raw(credential.claims),
        "steps": credential.steps,
    }


def facts_of(credential: VerifiedCredential) -> dict[str, str]:
    """What is known of a credential, for people."""
    issuer = credential.issuer
    facts = {
        "credential": ", ".join(credential.types),
        "issuer": f"{issuer.id} {issuer.name}".strip(),
        "shown by": issuer.proof,
        "trust anchor": issuer.anchor or "none",
        "valid from": _time(credential.begin_s),
        "valid until": _time(credential.end_s),
        "status": "good" if credential.status is not None else "none is published",
        "presented": "by its holder, for this request" if credential.is_presented else "no presentation",
        **({} if credential.mandate is None else _mandate_facts(credential.mandate)),
    }
    return {name: printable(value) for name, value in facts.items()}


def _mandate_facts(mandate: Mandate) -> dict[str, str]:
    who, organization = mandate.mandatee, mandate.organization
    name = f"{who.first_name} {who.last_name}" if isinstance(who, MandatedPerson) else who.service_name
    powers = (f"{power.domain}/{power.function}/{','.join(power.actions)}" for power in mandate.powers)
    return {
        "organisation": f"{organization.identifier} {organization.name}".strip(),
        "mandatee": f"{who.id} {name.strip()}".strip(),
        "powers": "; ".join(powers),
    }


def _time(time_s: int | None) -> str:
    return "not named" if time_s is None else rfc3339_at_ms(1000 * time_s)
