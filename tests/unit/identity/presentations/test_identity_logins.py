"""Logins of people without an organisation: by identity documents that the operator named, by no others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hansa.core.access import AccessTarget, Action, authorize_by_role
from hansa.core.errors import Code
from hansa.core.forwarding import Actor
from hansa.identity.credentials import CredentialRefused, PresentationRequest
from hansa.identity.presentations import PresentationQuery, read_accepted_type
from hansa.identity.principal import IdentityRules, Principal, RoleRules, caller_of, principal_of
from tests.support.credentials import THIEF, Verifying, grant
from tests.support.identity_documents import (
    JEAN,
    LICENCE,
    PID,
    PID_MDOC,
    PID_TYPE,
    asked_claims,
    identity_mdoc,
    pid,
)
from tests.support.wallets import ACCEPTED, SUBJECT_KEY, Scene, answer_form, response_code

EVERY_TYPE = (PID_TYPE, f"mso_mdoc:{PID_MDOC}", f"mso_mdoc:{LICENCE}")
OFFERING = AccessTarget("ProductOffering", "ProductOffering", is_private=False)
ORDER = AccessTarget("ProductOrder", "ProductOrder", is_private=True)


def scene(*identities: str, accepted: tuple[str, ...] = (), **options: Any) -> Scene:
    return Scene(accepted=accepted, identities=identities or (PID_TYPE,), **options)


async def logged_in(market: Scene, text: Any = pid, **options: Any) -> Principal:
    """Who is logged in after a presentation for the one query of a request."""
    begun = market.begin()
    request = market.request(begun.same_device)
    query, _ = asked_claims(request)
    body = answer_form(request, {query: [text(request, **options)]})
    code = response_code(await market.logins.respond(begun.same_device, body))
    return market.logins.return_from_wallet(begun.id, begun.secret, code).principal


async def refused(market: Scene, text: Any = pid, query: str = "", **options: Any) -> Code:
    begun = market.begin()
    request = market.request(begun.same_device)
    query = query or asked_claims(request)[0]
    return await market.refused(begun.same_device, {query: [text(request, **options)]})


def test_wallets_are_asked_for_a_mandate_or_for_an_identity_document_and_of_that_for_three_claims() -> None:
    identities = map(read_accepted_type, EVERY_TYPE)
    query = PresentationQuery(map(read_accepted_type, ACCEPTED), identities=identities)
    by_id = {one["id"]: one for one in query.dcql()["credentials"]}
    assert list(by_id) == ["sd_jwt", "jwt_vc", "identity_sd_jwt", "identity_mdoc", "identity_mdoc_2"]
    assert by_id["identity_sd_jwt"] == {
        "id": "identity_sd_jwt",
        "format": "dc+sd-jwt",
        "meta": {"vct_values": [PID]},
        "claims": [{"path": ["family_name"]}, {"path": ["given_name"]}, {"path": ["birthdate"]}],
    }
    assert by_id["identity_mdoc_2"]["meta"] == {"doctype_value": LICENCE}
    assert by_id["identity_mdoc_2"]["claims"] == [
        {"path": ["org.iso.18013.5.1", name]} for name in ("family_name", "given_name", "birth_date")
    ]
    (choice,) = query.dcql()["credential_sets"]
    assert choice == {"options": [[id] for id in by_id]}


async def test_a_person_with_an_identity_document_is_somebody_without_an_organisation() -> None:
    principal = await logged_in(scene())
    assert (principal.kind, principal.name, principal.organization) == ("person", "Jean Dupont", "")
    assert (principal.roles, principal.powers, principal.email) == (frozenset(), (), "")
    assert principal.subject.startswith("urn:hansa:subject:")


async def test_nothing_of_a_person_is_kept_but_the_name_while_the_session_lasts() -> None:
    kept = json.dumps(str(await logged_in(scene())))
    assert "Dupont" in kept
    assert not any(one in kept for one in ("1980", "FR", "picture", "pid.example"))


async def test_a_person_reads_what_is_public_and_writes_nothing() -> None:
    caller = caller_of(await logged_in(scene()))
    assert caller.is_authenticated
    assert authorize_by_role(caller, Action.READ, OFFERING).public_only
    assert authorize_by_role(caller, Action.READ, ORDER).refusal is Code.FORBIDDEN
    writes = (Action.CREATE, Action.CHANGE, Action.DELETE, Action.EXPORT)
    assert {authorize_by_role(caller, one, OFFERING).refusal for one in writes} == {Code.FORBIDDEN}


async def test_a_person_is_nobody_with_rights_at_another_member_either() -> None:
    caller = caller_of(await logged_in(scene()))
    there = Actor.of(caller).caller("pseudonym", "did:web:other.example")
    assert not there.may_write
    assert not there.may_read


async def test_the_same_person_is_the_same_subject_whatever_document_and_device_it_is() -> None:
    first = await logged_in(scene())
    again = await logged_in(
        scene(), person=JEAN | {"given_name": "JEAN", "family_name": " DUPONT "}, holder=THIEF
    )
    mdoc = await logged_in(scene(f"mso_mdoc:{PID_MDOC}"), identity_mdoc)
    licence = await logged_in(scene(f"mso_mdoc:{LICENCE}"), identity_mdoc, doctype=LICENCE)
    assert len({one.subject for one in (first, again, mdoc, licence)}) == 1


@pytest.mark.parametrize(
    "other", [{"family_name": "Durand"}, {"given_name": "Jeanne"}, {"birthdate": "1980-05-24"}]
)
async def test_others_are_other_subjects(other: dict[str, str]) -> None:
    jean, somebody = await logged_in(scene()), await logged_in(scene(), person=JEAN | other)
    assert jean.subject != somebody.subject


async def test_each_marketplace_knows_a_person_by_another_subject() -> None:
    market = scene()
    request = market.request(market.begin().same_device)
    target = PresentationRequest(request["client_id"], request["nonce"])
    credential = await market.verifying.verifier.presentation(pid(request), "dc+sd-jwt", target)
    one, other = (
        principal_of(credential, RoleRules(), IdentityRules(frozenset({("dc+sd-jwt", PID)}), key))
        for key in (SUBJECT_KEY, b"another secret")
    )
    assert one.subject != other.subject


async def test_a_mandate_logs_in_for_its_organisation_where_identities_are_accepted_too() -> None:
    principal = await scene(accepted=ACCEPTED).logged_in()
    assert (principal.kind, principal.organization) == ("employee", "VATES-12345678")


async def test_an_identity_document_is_not_enough_where_the_operator_did_not_name_it() -> None:
    assert await refused(Scene(), query="sd_jwt", shown=list(JEAN)) is Code.CREDENTIAL_NOT_REQUESTED
    named_as_mandate = Scene(accepted=(PID_TYPE,))
    assert await refused(named_as_mandate, shown=list(JEAN)) is Code.POWER_MISSING
    assert await refused(scene(), vct="urn:eudi:pid:de:1") is Code.CREDENTIAL_NOT_REQUESTED


@pytest.mark.parametrize("hidden", ["family_name", "given_name", "birthdate"])
async def test_a_document_that_does_not_disclose_who_it_is_logs_nobody_in(hidden: str) -> None:
    shown = [name for name in JEAN if name != hidden]
    assert await refused(scene(), shown=shown) is Code.CREDENTIAL_NOT_REQUESTED


@pytest.mark.parametrize(
    "odd",
    [
        {"family_name": ""},
        {"family_name": " "},
        {"given_name": ["Jean"]},
        {"given_name": "J" * 257},
        {"given_name": "Je\nan"},
        {"birthdate": "23.5.1980"},
        {"birthdate": 1980},
    ],
)
async def test_a_document_with_odd_claims_logs_nobody_in(odd: dict[str, Any]) -> None:
    assert await refused(scene(), person=JEAN | odd) is Code.CREDENTIAL_NOT_REQUESTED


async def test_a_type_without_an_entry_of_trust_is_refused() -> None:
    unlisted = Verifying(grant("urn:example:other"))
    assert await refused(scene(verifying=unlisted)) is Code.CREDENTIAL_TYPE_UNTRUSTED
    anchored = Verifying(grant("urn:example:other"), anchored_types=[PID])
    assert (await logged_in(scene(verifying=anchored))).kind == "person"


async def test_an_mdoc_of_a_device_that_authenticates_itself_by_a_mac_is_refused_with_the_reason() -> None:
    market = scene(f"mso_mdoc:{PID_MDOC}")
    begun = market.begin()
    request = market.request(begun.same_device)
    body = answer_form(request, {"identity_mdoc": [identity_mdoc(request, auth="deviceMac")]})
    with pytest.raises(CredentialRefused) as refusal:
        await market.logins.respond(begun.same_device, body)
    assert refusal.value.code is Code.PRESENTATION_UNBOUND
    assert "by a MAC" in refusal.value.steps[-1]
