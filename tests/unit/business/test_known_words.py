"""Words of enumerations and state machines in other letters, misspelt, and unknown."""

from __future__ import annotations

import pytest

from hansa.business.models import Api, Resource
from tests.support.business import CATALOG, MODELS, PARTY, Business
from tests.unit.business.test_resources import check_refused

OFFERINGS = f"{CATALOG}/productOffering"
SERVED = [
    (api, resource)
    for api in MODELS.apis
    for resource in api.resources
    if MODELS.lifecycle(resource) is not None and resource.status_attribute is not None
]


@pytest.mark.parametrize(
    ("sent", "stored", "publication", "words"),
    [
        ("Launched", "Launched", "public", None),
        ("launched", "Launched", "public", None),
        (" LAUNCHED ", "Launched", "public", None),
        ("RETIRED", "Retired", "public", None),
        ("ACTIVE", "Active", "private; reason=lifecycle-status", None),
        ("In Study", "In study", "private; reason=lifecycle-status", None),
        ("Lauched", "Lauched", "private; reason=lifecycle-status", "lifecycleStatus=Lauched; known=Launched"),
        ("obsolet", "obsolet", "private; reason=lifecycle-status", "lifecycleStatus=obsolet; known=Obsolete"),
        (
            "für später",
            "für später",
            "private; reason=lifecycle-status",
            "lifecycleStatus=f%C3%BCr%20sp%C3%A4ter",
        ),
    ],
)
async def test_a_status_is_spelt_as_known_and_the_answer_says_what_follows(
    business: Business, sent: str, stored: str, publication: str, words: str | None
) -> None:
    created = await business.provider.post(OFFERINGS, {"name": "x", "lifecycleStatus": sent})
    draft = await business.provider.post(OFFERINGS, {"name": "x", "lifecycleStatus": "In study"})
    patched = await business.provider.patch(draft.headers["location"], {"lifecycleStatus": sent})
    for answer in (created, patched):
        if answer is patched and answer.status == 409:
            continue  # from `In study` not every state follows
        assert answer.json()["lifecycleStatus"] == stored
        assert answer.headers["hansa-publication"] == publication
        assert answer.headers.get("hansa-words", "").partition("; known=In")[0] == (words or "")
    seen = await business.anonymous.get(created.headers["location"])
    assert seen.status == (200 if publication == "public" else 404)


@pytest.mark.parametrize(("api", "resource"), SERVED, ids=[f"{a.id}-{r.path}" for a, r in SERVED])
def test_every_state_of_every_resource_is_known_in_any_letters(api: Api, resource: Resource) -> None:
    machine = MODELS.lifecycle(resource)
    assert machine is not None
    for state in machine.states:
        assert machine.spelling_of(state.upper()) == machine.spelling_of(f" {state.lower()} ") == state
    name = resource.status_attribute
    assert name is not None
    words = api.enumerations.get(api.attributes_of(resource.type)[name].type)
    if words:
        assert {word.strip().casefold() for word in words} >= {
            one.strip().casefold() for one in machine.states
        }


async def test_words_of_enumerations_are_spelt_as_the_document_does(business: Business) -> None:
    ordering = "/tmf-api/productOrderingManagement/v4/productOrder"
    items = [{"id": "1", "action": "ADD", "state": "InProgress"}]
    created = await business.provider.post(ordering, {"productOrderItem": items})
    assert created.status == 201, created.body
    assert created.json()["productOrderItem"][0] == {"id": "1", "action": "add", "state": "inProgress"}
    patched = await business.provider.patch(created.headers["location"], {"state": "INPROGRESS"})
    assert patched.json()["state"] == "inProgress"
    party = {"tradingName": "x", "status": "Validated"}
    assert (await business.provider.post(f"{PARTY}/organization", party)).json()["status"] == "validated"
    party["status"] = "validatd"
    answer = await business.provider.post(f"{PARTY}/organization", party)
    assert "status: must be one of" in check_refused(answer, 400, "invalid")
