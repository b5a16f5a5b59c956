"""Mandates: which person or machine may do what for which organisation, as LEAR credentials say it.

`LEARCredentialEmployee` and `LEARCredentialMachine` are in circulation in several versions, which spell the
same attributes differently (`first_name` and `firstName`, `tmf_function` and `function`), have actions and
domains as a text or as a list, and write `DOME`, `Dome` or `dome`. All are read into the one model that is
here. An attribute that is there in two spellings is refused: which one counts would depend on the reader.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from hansa.core.access import Power
from hansa.core.certificates import organization_identifier_of
from hansa.core.certificates.elsi import ELSI_PREFIX, elsi_did
from hansa.identity.credentials.refusals import malformed
from hansa.identity.credentials.times import date_time

POWERS_MAX: Final = 128
ACTIONS_MAX: Final = 32
TEXT_MAX_CHARS: Final = 512

_EMPLOYEE: Final = re.compile(
    r"LEARCredentialEmployee|learcredential\.employee\..{1,64}|eu\.europa\.ec\.eudi\.lce\.\d{1,4}", re.ASCII
)
_MACHINE: Final = re.compile(
    r"LEARCredentialMachine|learcredential\.machine\..{1,64}|eu\.europa\.ec\.eudi\.lcm\.\d{1,4}", re.ASCII
)

MandateKind = Literal["employee", "machine"]


class MandatingOrganization(msgspec.Struct, frozen=True):
    """The organisation that gives the mandate."""

    identifier: str
    """ETSI EN 319 412-1, as `VATES-12345678`."""
    name: str = ""
    country: str = ""
    common_name: str = ""
    email: str = ""
    serial_number: str = ""


class MandatedPerson(msgspec.Struct, frozen=True, tag="person"):
    """The person who acts for the organisation."""

    id: str = ""
    """DID, when the credential names one."""
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    employee_id: str = ""


class MandatedMachine(msgspec.Struct, frozen=True, tag="machine"):
    """The machine that acts for the organisation."""

    id: str = ""
    """DID, or the identifier of the service."""
    service_name: str = ""
    service_type: str = ""
    version: str = ""
    domain: str = ""
    ip_address: str = ""


class Mandate(msgspec.Struct, frozen=True):
    """What a LEAR credential says."""

    organization: MandatingOrganization
    mandatee: MandatedPerson | MandatedMachine
    powers: tuple[Power, ...]
    begin_s: int | None = None
    """First second at which it is good; None: since ever."""
    end_s: int | None = None
    """Last second; None: without end."""

    def covers(self, domain: str, function: str, action: str) -> bool:
        """Whether one of its powers is the one for an action."""
        return any(power.covers(domain, function, action) for power in self.powers)


def mandate_kind(types: Sequence[str]) -> MandateKind | None:
    """Whether credentials of these types have the mandate of an employee or of a machine; None: of neither.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`, when they would have both.
    """
    is_employee = any(map(_EMPLOYEE.fullmatch, types))
    is_machine = any(map(_MACHINE.fullmatch, types))
    if is_employee and is_machine:
        raise malformed("its types are those of an employee's and of a machine's credential at once")
    return "employee" if is_employee else "machine" if is_machine else None


def read_mandate(kind: MandateKind, subject: Mapping[str, Any]) -> Mandate:
    """The mandate of a credential's subject, in whatever version it is written.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    mandate = _Fields(subject, "the subject").object("mandate")
    life_span = mandate.object("life_span", "lifeSpan", is_needed=False)
    mandatee = mandate.object("mandatee")
    return Mandate(
        organization=_organization(mandate.object("mandator")),
        mandatee=_person(mandatee) if kind == "employee" else _machine(mandatee),
        powers=_powers(mandate.items("power", POWERS_MAX)),
        begin_s=life_span.time("start_date_time", "startDateTime"),
        end_s=life_span.time("end_date_time", "endDateTime"),
    )


def _organization(fields: _Fields) -> MandatingOrganization:
    identifier = fields.text("organizationIdentifier", "organization_identifier")
    identifier = identifier.removeprefix(ELSI_PREFIX)
    did = fields.text("id")
    if organization_identifier_of(elsi_did(identifier)) is None:
        raise malformed("the mandator has no organizationIdentifier of EN 319 412-1")
    if did.startswith(ELSI_PREFIX) and did != elsi_did(identifier):
        raise malformed("the mandator has two identities: `id` and `organizationIdentifier` differ")
    return MandatingOrganization(
        identifier=identifier,
        name=fields.text("organization"),
        country=fields.text("country"),
        common_name=fields.text("commonName", "common_name"),
        email=fields.text("email", "emailAddress", "email_address"),
        serial_number=fields.text("serialNumber", "serial_number"),
    )


def _person(fields: _Fields) -> MandatedPerson:
    return MandatedPerson(
        id=fields.text("id"),
        first_name=fields.text("firstName", "first_name"),
        last_name=fields.text("lastName", "last_name"),
        email=fields.text("email", "emailAddress"),
        phone=fields.text("mobile_phone", "mobilePhone"),
        employee_id=fields.text("employeeId", "employee_id"),
    )


def _machine(fields: _Fields) -> MandatedMachine:
    return MandatedMachine(
        id=fields.text("id", "serviceId"),
        service_name=fields.text("serviceName", "service_name"),
        service_type=fields.text("serviceType", "service_type"),
        version=fields.text("version"),
        domain=fields.text("domain"),
        ip_address=fields.text("ipAddress", "ip_address"),
    )


def _powers(items: list[_Fields]) -> tuple[Power, ...]:
    powers: list[Power] = []
    for item in items:
        domains = item.texts("domain", "tmf_domain", "tmfDomain", is_needed=False) or ("",)
        function = item.text("function", "tmf_function", "tmfFunction")
        actions = item.texts("action", "tmf_action", "tmfAction")
        if not function or not all(actions) or not actions:
            raise malformed("a power has no function or no action")
        if not all(text.isascii() for text in (*domains, function, *actions)):
            raise malformed("a power has letters that only look like those of a power")
        names = tuple(sorted({action[:1].upper() + action[1:] for action in actions}))
        powers += [Power(domain.upper(), function, names) for domain in domains]
    return tuple(powers)


class _Fields:
    """The attributes of an object, each by its one or several spellings."""

    def __init__(self, value: Any, what: str) -> None:
        if not isinstance(value, Mapping):
            raise malformed(f"{what} is no object")
        self._value = value
        self._what = what

    def _one(self, names: Sequence[str]) -> Any:
        """The value under the one spelling that is there; None when there is none."""
        present = [name for name in names if self._value.get(name) is not None]
        if len(present) > 1:
            raise malformed(f"{self._what} has one attribute in two spellings: {' and '.join(present)}")
        return self._value[present[0]] if present else None

    def object(self, *names: str, is_needed: bool = True) -> _Fields:
        value = self._one(names)
        if value is None and is_needed:
            raise malformed(f"{self._what} has no {names[0]}, or does not disclose it")
        return _Fields({} if value is None else value, names[0])

    def items(self, name: str, count_max: int) -> list[_Fields]:
        value = self._one((name,))
        if not isinstance(value, list) or len(value) > count_max:
            raise malformed(f"{self._what} has no list of at most {count_max} under {name}")
        return [_Fields(item, name) for item in value]

    def text(self, *names: str) -> str:
        value = self._one(names)
        if value is None:
            return ""
        return self._checked(value, names[0])

    def texts(self, *names: str, is_needed: bool = True) -> tuple[str, ...]:
        value = self._one(names)
        if value is None and not is_needed:
            return ()
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list) or len(value) > ACTIONS_MAX:
            raise malformed(f"{names[0]} is neither a text nor a list of at most {ACTIONS_MAX}")
        return tuple(self._checked(item, names[0]) for item in value)

    def time(self, *names: str) -> int | None:
        value = self._one(names)
        return date_time({names[0]: value}, names[0])

    def _checked(self, value: Any, name: str) -> str:
        if not isinstance(value, str) or len(value) > TEXT_MAX_CHARS or not value.isprintable():
            raise malformed(
                f"{name} of {self._what} is no printable text of at most {TEXT_MAX_CHARS} characters"
            )
        return value
