"""Who is logged in follows from the credential, and the roles from its powers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hansa.core.access import OPERATOR, PROVIDER, Power
from hansa.core.errors import Code
from hansa.identity.credentials import CredentialRefused, VerifiedCredential
from hansa.identity.principal import RoleRules, principal_of
from tests.support.certificates import ORGANIZATION
from tests.support.credentials import (
    HOLDER,
    NOW_S,
    THIEF,
    Verifying,
    bound,
    did_key,
    jwk,
    jwt_vc,
    jwt_vp,
    lear,
    mandate,
    power,
    sd_claims,
    sd_jwt,
)

OWN = RoleRules.of(f"did:elsi:{ORGANIZATION}")
OTHERS = RoleRules.of("did:elsi:VATDE-1", ["VATFI-2"])
EVERY_TYPE = ["LEARCredentialEmployee", "learcredential.employee.sd.1"]


async def presented(*powers: dict[str, Any], holder: Any = HOLDER, **changes: Any) -> VerifiedCredential:
    subject = {"id": did_key(HOLDER), "mandate": mandate(holder, power=list(powers) or [power()], **changes)}
    text = jwt_vp(jwt_vc(lear(credentialSubject=subject)))
    return await Verifying(anchored_types=EVERY_TYPE).presentation(text)


async def test_a_principal_is_what_the_credential_says() -> None:
    principal = principal_of(await presented(), OTHERS)
    assert principal.subject == did_key(HOLDER)
    assert (principal.organization, principal.organization_name) == (ORGANIZATION, "GoodAir")
    assert (principal.kind, principal.name, principal.country) == ("employee", "Ana Prueba", "ES")
    assert principal.email == "ana@goodair.example"
    assert principal.powers == (Power("DOME", "ProductOffering", ("Create",)),)
    assert principal.credential_id.startswith("urn:uuid:")
    assert principal.credential_expires_s == NOW_S + 86_400


@pytest.mark.parametrize("action", ["Create", "update", "Delete"])
async def test_whoever_may_write_offerings_is_a_provider(action: str) -> None:
    assert principal_of(await presented(power("ProductOffering", action)), OWN).roles == {PROVIDER}


@pytest.mark.parametrize(
    "other",
    [
        power("ProductOffering", "Read"),
        power("ProductOffering", "Create", domain="OTHER"),
        power("Certification", "Upload"),
    ],
    ids=["action", "domain", "function"],
)
async def test_other_powers_give_no_role(other: dict[str, Any]) -> None:
    assert principal_of(await presented(other), OWN).roles == frozenset()


async def test_onboarding_makes_operators_of_the_marketplaces_own_employees_alone() -> None:
    onboarding = await presented(power("Onboarding", "Execute"))
    assert principal_of(onboarding, OWN).roles == {OPERATOR}
    assert principal_of(onboarding, RoleRules.of("did:key:zDn", [f"did:elsi:{ORGANIZATION}"])).roles == {
        OPERATOR
    }
    assert principal_of(onboarding, OTHERS).roles == frozenset()


async def test_a_did_that_the_holder_did_not_prove_is_nobodys_subject() -> None:
    principal = principal_of(await presented(holder=THIEF), OWN)
    assert principal.subject.startswith("urn:hansa:subject:")


async def test_a_did_beside_a_key_of_its_own_is_nobodys_subject() -> None:
    claims = lear() | {"cnf": {"jwk": jwk(HOLDER)}}
    presentation = await Verifying(anchored_types=EVERY_TYPE).presentation(jwt_vp(jwt_vc(claims)))
    assert principal_of(presentation, OWN).subject.startswith("urn:hansa:subject:")


async def test_an_sd_jwt_has_the_same_subject_each_time() -> None:
    subjects = set()
    for offset_s in (0, 1):
        text = bound(sd_jwt(sd_claims()), changes={"iat": NOW_S + offset_s})
        presentation = await Verifying(anchored_types=EVERY_TYPE).presentation(text)
        subjects.add(principal_of(presentation, OWN).subject)
    assert len(subjects) == 1


async def test_a_credential_that_nobody_presented_makes_nobody_a_principal() -> None:
    credential = await Verifying(anchored_types=EVERY_TYPE).credential(jwt_vc())
    with pytest.raises(CredentialRefused) as caught:
        principal_of(credential, OWN)
    assert caught.value.code is Code.POWER_MISSING


async def test_a_credential_of_no_type_in_particular_makes_nobody_a_principal() -> None:
    presentation = msgspec.structs.replace(await presented(), mandate=None, types=())
    with pytest.raises(CredentialRefused) as caught:
        principal_of(presentation, OWN)
    assert caught.value.code is Code.POWER_MISSING
