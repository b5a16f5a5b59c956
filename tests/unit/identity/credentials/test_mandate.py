"""LEAR credentials in every version in circulation become one mandate."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.access import Power
from hansa.core.errors import Code, Refused
from hansa.identity.credentials import CredentialRefused, MandatedMachine, MandatedPerson, check_power
from hansa.identity.credentials.mandate import mandate_kind, read_mandate
from tests.support.credentials import Verifying, jwt_vc, lear

MANDATOR = {
    "commonName": "GoodAir eSeal",
    "country": "ES",
    "organization": "GoodAir",
    "organizationIdentifier": "VATES-12345678",
    "serialNumber": "7",
}
EMPLOYEE_1 = {
    "id": "m",
    "life_span": {"start_date_time": "2026-01-01T00:00:00Z", "end_date_time": "2027-01-01T00:00:00Z"},
    "mandatee": {
        "id": "did:key:zDnae",
        "email": "ana@x.y",
        "first_name": "Ana",
        "last_name": "Prueba",
        "mobile_phone": "+34",
    },
    "mandator": MANDATOR | {"emailAddress": "a@x.y"},
    "power": [
        {
            "id": "1",
            "tmf_action": ["Update", "Create"],
            "tmf_domain": "Dome",
            "tmf_function": "ProductOffering",
            "tmf_type": "Domain",
        },
        {
            "id": "2",
            "tmf_action": "execute",
            "tmf_domain": "DOME",
            "tmf_function": "Onboarding",
            "tmf_type": "Domain",
        },
    ],
    "signer": MANDATOR,
}
EMPLOYEE_2 = {
    "mandatee": {
        "id": "did:key:zDnae",
        "employeeId": None,
        "email": "ana@x.y",
        "firstName": "Ana",
        "lastName": "Prueba",
        "mobilePhone": "+34",
    },
    "mandator": MANDATOR | {"id": "did:elsi:VATES-12345678", "email": "a@x.y"},
    "power": [
        {"type": "domain", "domain": "DOME", "function": "ProductOffering", "action": ["Create", "Update"]},
        {"type": "domain", "domain": "dome", "function": "Onboarding", "action": "Execute"},
    ],
}
EMPLOYEE_0 = EMPLOYEE_1 | {
    "life_span": {
        "start_date_time": "2026-01-01 00:00:00.637345122 +0000 UTC",
        "end_date_time": "2027-01-01 00:00:00 +0000 UTC",
    },
    "power": [
        {"tmf_domain": ["DOME"], "tmf_function": "ProductOffering", "tmf_action": ["Create", "Update"]},
        {"tmf_domain": ["DOME"], "tmf_function": "Onboarding", "tmf_action": ["Execute"]},
    ],
}
"""As DOME's first issuers wrote it."""
MACHINE_1 = {
    "life_span": {"startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2027-01-01T00:00:00Z"},
    "mandatee": {
        "id": "did:key:zDnae",
        "serviceName": "scheduler",
        "serviceType": "payment",
        "version": "1",
        "domain": "https://x.y",
        "ipAddress": "192.0.2.1",
        "contact": {"email": "a@x.y"},
    },
    "mandator": MANDATOR,
    "power": [{"id": "1", "domain": "DOME", "function": "Onboarding", "action": "Execute"}],
}
MACHINE_SD = {
    "mandatee": {"serviceId": "scheduler", "domain": "x.y", "ipAddress": "192.0.2.1"},
    "mandator": MANDATOR,
    "power": [{"type": "domain", "domain": "DOME", "function": "Onboarding", "action": ["Execute"]}],
}
POWERS = (Power("DOME", "ProductOffering", ("Create", "Update")), Power("DOME", "Onboarding", ("Execute",)))


@pytest.mark.parametrize(
    "types",
    [
        ("LEARCredentialEmployee",),
        ("learcredential.employee.w3c.4",),
        ("learcredential.employee.sd.1",),
        ("eu.europa.ec.eudi.lce.1",),
    ],
)
def test_the_types_of_employees_are_known(types: tuple[str, ...]) -> None:
    assert mandate_kind(types) == "employee"


@pytest.mark.parametrize(
    "types", [("LEARCredentialMachine",), ("learcredential.machine.w3c.3",), ("eu.europa.ec.eudi.lcm.1",)]
)
def test_the_types_of_machines_are_known(types: tuple[str, ...]) -> None:
    assert mandate_kind(types) == "machine"


@pytest.mark.parametrize(
    "name",
    ["urn:eudi:pid:1", "XLEARCredentialEmployee", "LEARCredentialEmployeeX", "learcredential.employee."],
)
def test_other_types_have_no_mandate(name: str) -> None:
    assert mandate_kind((name,)) is None


def test_versions_of_an_employees_mandate_are_the_same() -> None:
    old, new = (read_mandate("employee", {"mandate": one}) for one in (EMPLOYEE_1, EMPLOYEE_2))
    assert old.powers == new.powers == POWERS
    assert read_mandate("employee", {"mandate": EMPLOYEE_0}) == old
    assert old.mandatee == new.mandatee == MandatedPerson("did:key:zDnae", "Ana", "Prueba", "ana@x.y", "+34")
    assert old.organization == new.organization
    assert old.organization.email == "a@x.y"
    assert (old.begin_s, old.end_s) == (1_767_225_600, 1_798_761_600)
    assert (new.begin_s, new.end_s) == (None, None)


def test_versions_of_a_machines_mandate_are_read() -> None:
    old = read_mandate("machine", {"mandate": MACHINE_1})
    assert old.mandatee == MandatedMachine(
        "did:key:zDnae", "scheduler", "payment", "1", "https://x.y", "192.0.2.1"
    )
    new = read_mandate("machine", {"mandate": MACHINE_SD})
    assert new.mandatee == MandatedMachine(id="scheduler", domain="x.y", ip_address="192.0.2.1")
    assert new.powers == old.powers


def broken(**changes: Any) -> dict[str, Any]:
    return {"mandate": EMPLOYEE_2 | changes}


@pytest.mark.parametrize(
    "subject",
    [
        {},
        {"mandate": []},
        broken(mandator={}),
        broken(mandator=MANDATOR | {"organizationIdentifier": "12345678"}),
        broken(mandator=MANDATOR | {"organizationIdentifier": "VATES-1\n"}),
        broken(mandator=MANDATOR | {"id": "did:elsi:VATES-9"}),
        broken(mandator=MANDATOR | {"organization": "a\nb"}),
        broken(mandator=MANDATOR | {"organization": "x" * 513}),
        broken(mandator=MANDATOR | {"organization": 5}),
        broken(mandatee="did:key:z"),
        broken(mandatee={"firstName": "Ana", "first_name": "Eva"}),
        broken(power={}),
        broken(power=["x"]),
        broken(power=[{"domain": "DOME", "function": "X"}]),
        broken(power=[{"domain": "DOME", "action": "X"}]),
        broken(power=[{"domain": "DOME", "function": "X", "action": []}]),
        broken(power=[{"domain": "DOME", "function": "X", "action": [5]}]),
        broken(power=[{"domain": "DOME", "function": "X", "action": ""}]),
        broken(power=[{"domain": {}, "function": "X", "action": "Y"}]),
        broken(power=[{"domain": [5], "function": "X", "action": "Y"}]),
        broken(power=[{"domain": ["DOME"] * 33, "function": "X", "action": "Y"}]),
        broken(life_span={"end_date_time": "2027-01-01 00:00:00 +0200 CEST"}),
        broken(power=[{"domain": "DOME", "function": "X", "action": "Y", "tmf_action": "Z"}]),
        broken(power=[{"domain": "DOME", "function": "X", "action": "Y", "tmf_domain": "ISBE"}]),
        broken(power=[{"domain": "D\u041eME", "function": "X", "action": "Y"}]),
        broken(power=[{"domain": "DOME", "function": "X", "action": "Y"}] * 129),
        broken(life_span={"end_date_time": 5}),
        broken(life_span={"end_date_time": "2027-01-01T00:00:00Z", "endDateTime": "2037-01-01T00:00:00Z"}),
        broken(life_span={}, lifeSpan={}),
    ],
)
def test_a_mandate_that_is_none_is_refused(subject: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        read_mandate("employee", subject)
    assert caught.value.code is Code.CREDENTIAL_MALFORMED


async def test_a_power_is_that_for_its_domain_function_and_action_alone() -> None:
    credential = await Verifying().credential(jwt_vc())
    check_power(credential, "Dome", "ProductOffering", "create")
    for wrong in (
        ("ISBE", "ProductOffering", "Create"),
        ("DOME", "ProductOrder", "Create"),
        ("DOME", "ProductOffering", "Delete"),
        ("DOME", "ProductOffering", ""),
        ("", "ProductOffering", "Create"),
        ("DOME", "Product", "Create"),
    ):
        with pytest.raises(CredentialRefused) as caught:
            check_power(credential, *wrong)
        assert caught.value.code is Code.POWER_MISSING
    nothing = await Verifying().credential(jwt_vc(lear(type=["VerifiableCredential", "Other"])))
    with pytest.raises(CredentialRefused):
        check_power(nothing, "DOME", "ProductOffering", "Create")


def test_a_power_for_several_domains_is_one_for_each_and_for_no_other() -> None:
    item = {"tmf_domain": ["DOME", "Isbe"], "tmf_function": "X", "tmf_action": "Y"}
    mandate = read_mandate("employee", broken(power=[item]))
    assert [mandate.covers(name, "X", "Y") for name in ("dome", "ISBE", "DOME,ISBE", "")] == [
        True,
        True,
        False,
        False,
    ]
    nowhere = read_mandate("employee", broken(power=[item | {"tmf_domain": None}]))
    assert not nowhere.covers("DOME", "X", "Y")


WORDS = st.text(alphabet="abcXYZ", min_size=1, max_size=6)


@given(WORDS, WORDS, st.lists(WORDS, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_the_spelling_of_a_power_changes_nothing(
    domain: str, function: str, actions: list[str], is_old: bool, is_single: bool
) -> None:
    prefix = "tmf_" if is_old else ""
    listed: Any = actions[0] if is_single else actions
    item = {f"{prefix}domain": domain, f"{prefix}function": function, f"{prefix}action": listed}
    mandate = read_mandate("employee", broken(power=[item]))
    for action in actions[: 1 if is_single else None]:
        assert mandate.covers(domain.swapcase(), function.swapcase(), action.swapcase())
    assert not mandate.covers(domain, function, "none of these")
    assert mandate == read_mandate("employee", broken(power=[item]))
