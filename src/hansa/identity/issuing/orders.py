"""What an operator orders: a mandate for a person or a machine of an organisation."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from hansa.core.certificates import organization_identifier_of
from hansa.core.certificates.elsi import elsi_did
from hansa.core.errors import Code, Refused
from hansa.identity.credentials.mandate import ACTIONS_MAX, POWERS_MAX, MandateKind

DAY_S: Final = 86_400
LIFE_MAX_S: Final = 366 * DAY_S
TEXT_MAX_CHARS: Final = 256
DOMAIN: Final = "DOME"
"""Of powers that name none."""

_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_COUNTRY: Final = re.compile("[A-Z]{2}", re.ASCII)
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")

CredentialForm = Literal["dc+sd-jwt", "jwt_vc_json"]
FORMS: Final[tuple[CredentialForm, ...]] = ("dc+sd-jwt", "jwt_vc_json")


class OrderedPower(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One power of a mandate, as `ProductOffering: Create, Update`."""

    function: str
    actions: tuple[str, ...]
    domain: str = DOMAIN


class MandateOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mandate that is to be issued."""

    kind: MandateKind
    organization: str
    """Identifier of the mandator, as `VATES-12345678`."""
    organization_name: str
    country: str
    """Of the organisation: ISO 3166-1, two letters."""
    powers: tuple[OrderedPower, ...]
    name: str
    """Of the person, the last word being the last name; or of the service."""
    email: str = ""
    """Of a person."""
    employee_id: str = ""
    domain: str = ""
    """Of a machine: its host."""
    ip_address: str = ""
    life_s: int = 365 * DAY_S
    forms: tuple[CredentialForm, ...] = FORMS
    """Formats in which the wallet may have it, each once."""

    @property
    def first_and_last_name(self) -> tuple[str, str]:
        """Of a person."""
        first, _, last = self.name.rpartition(" ")
        return (first, last) if first else (last, "")


def check_order(order: MandateOrder) -> None:
    """Check that an order can be issued.

    Raises:
        Refused: `Code.INVALID`, naming everything that is wrong.
    """
    faults = []
    if organization_identifier_of(elsi_did(order.organization)) is None or ":" in order.organization:
        faults.append("The organisation is named by an identifier of EN 319 412-1, as VATES-12345678.")
    texts = (
        order.organization_name,
        order.name,
        order.email,
        order.employee_id,
        order.domain,
        order.ip_address,
    )
    if not all(len(text) <= TEXT_MAX_CHARS and text.isprintable() for text in texts):
        faults.append(f"Names and addresses are printable, with {TEXT_MAX_CHARS} characters at most.")
    if not order.organization_name.strip() or not order.name.strip():
        faults.append("The organisation and the mandatee have names.")
    if _COUNTRY.fullmatch(order.country) is None:
        faults.append("The country has two capital letters (ISO 3166-1), as ES.")
    if order.kind == "employee" and _EMAIL.fullmatch(order.email) is None:
        faults.append("An employee has an e-mail address.")
    if not 0 < order.life_s <= LIFE_MAX_S:
        faults.append(f"A credential is valid for {LIFE_MAX_S // DAY_S} days at most.")
    if not order.forms or len(set(order.forms)) != len(order.forms):
        faults.append("Each format is named once, and at least one is.")
    if not 0 < len(order.powers) <= POWERS_MAX or not all(map(_is_power, order.powers)):
        faults.append(
            f"A mandate has 1 to {POWERS_MAX} powers, each with a function and 1 to {ACTIONS_MAX} actions, as "
            "ProductOffering:Create,Update."
        )
    if faults:
        raise Refused(Code.INVALID, " ".join(faults))


def _is_power(power: OrderedPower) -> bool:
    words = (power.domain, power.function, *power.actions)
    return 0 < len(power.actions) <= ACTIONS_MAX and all(map(_WORD.fullmatch, words))


def power_of(text: str) -> OrderedPower:
    """A power as it is written on the command line: `[DOMAIN/]FUNCTION:ACTION[,ACTION…]`.

    Raises:
        Refused: `Code.INVALID`.
    """
    named, colon, actions = text.partition(":")
    domain, slash, function = named.rpartition("/")
    power = OrderedPower(function, tuple(actions.split(",")), domain if slash else DOMAIN)
    if not colon or not _is_power(power):
        raise Refused(
            Code.INVALID,
            f"{text!r} is no power: give one as ProductOffering:Create,Update or DOME/Onboarding:Execute.",
        )
    return power


def mandate_subject(order: MandateOrder, holder: str) -> dict[str, Any]:
    """The claims about the subject of a LEAR credential: employee version 3, machine version 2.

    Args:
        order: What it says.
        holder: The did:key of the one to whom it is issued.
    """
    if order.kind == "employee":
        first, last = order.first_and_last_name
        mandatee = {
            "id": holder,
            "employeeId": order.employee_id or None,
            "email": order.email,
            "firstName": first,
            "lastName": last,
        }
    else:
        mandatee = {
            "id": holder,
            "serviceName": order.name,
            "domain": order.domain or None,
            "ipAddress": order.ip_address or None,
        }
    powers = [
        {"type": "domain", "domain": one.domain, "function": one.function, "action": list(one.actions)}
        for one in order.powers
    ]
    return {
        "mandatee": {name: value for name, value in mandatee.items() if value is not None},
        "mandator": {
            "id": elsi_did(order.organization),
            "organizationIdentifier": order.organization,
            "organization": order.organization_name,
            "country": order.country,
            "commonName": order.organization_name,
        },
        "power": powers,
    }
