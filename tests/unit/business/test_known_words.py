"""Words of enumerations and state machines in other letters, misspelt, and unknown."""

from __future__ import annotations

import re

import pytest

from hansa.business.models import Api, Resource
from hansa.core.known_words import folded
from tests.support.business import CATALOG, MODELS, PARTY, Business
from tests.support.examples import full_body
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
        ("IN_STUDY", "In study", "private; reason=lifecycle-status", None),
        ("in-study", "In study", "private; reason=lifecycle-status", None),
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


def spellings(word: str) -> list[str]:
    """A word as other systems write it: in snake case, kebab case, capitals, with blanks."""
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word).replace("-", " ").replace("_", " ").split()
    return [sign.join(map(change, parts)) for sign in "_- " for change in (str.upper, str.lower, str.title)]


@pytest.mark.parametrize("api", MODELS.apis, ids=lambda api: api.id)
def test_no_two_words_of_an_enumeration_are_one_in_other_letters(api: Api) -> None:
    for words in api.enumerations.values():
        assert len(set(map(folded, words))) == len(words)
        for word in words:
            assert {folded(form) for form in spellings(word)} == {folded(word)}


@pytest.mark.parametrize(("api", "resource"), SERVED, ids=[f"{a.id}-{r.path}" for a, r in SERVED])
def test_every_state_of_every_resource_is_known_in_any_letters(api: Api, resource: Resource) -> None:
    machine = MODELS.lifecycle(resource)
    assert machine is not None
    for state in machine.states:
        assert machine.spelling_of(state.upper()) == machine.spelling_of(f" {state.lower()} ") == state
        for form in spellings(state):
            assert machine.spelling_of(form) == state, form
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
    for state in ("INPROGRESS", "IN_PROGRESS", "in progress", "In-Progress"):
        patched = await business.provider.patch(created.headers["location"], {"state": state})
        assert patched.json()["state"] == "inProgress"
    party = {"tradingName": "x", "status": "Validated"}
    assert (await business.provider.post(f"{PARTY}/organization", party)).json()["status"] == "validated"
    party["status"] = "validatd"
    answer = await business.provider.post(f"{PARTY}/organization", party)
    assert "status: must be one of" in check_refused(answer, 400, "invalid")


RESOURCES = [
    (api, resource)
    for api in MODELS.apis
    for resource in api.resources
    if "POST" in resource.methods and "{" not in resource.path and resource.embedded is None
]


def reasons_possible(resource: Resource) -> set[str]:
    """What `Hansa-Publication` may say of a new entity of a resource."""
    if resource.visibility != "catalogue":
        return {"private; reason=type"}
    return {"public", "private; reason=lifecycle-status"} if resource.has_lifecycle else {"public"}


@pytest.mark.parametrize(("api", "resource"), RESOURCES, ids=[f"{a.id}-{r.path}" for a, r in RESOURCES])
async def test_every_create_and_patch_says_whether_the_entity_is_public_and_why_not(
    business: Business, api: Api, resource: Resource
) -> None:
    path = f"{api.base_path}{resource.path}"
    created = await business.provider.post(path, full_body(api, resource))
    assert created.status in {201, 202}, created.body
    assert created.headers["hansa-publication"] in reasons_possible(resource)
    patched = await business.provider.patch(created.headers["location"], {"description": "x"})
    if patched.status == 200:
        assert patched.headers["hansa-publication"] in reasons_possible(resource)


async def test_the_states_of_items_are_named_like_that_of_the_whole(business: Business) -> None:
    items = [{"id": "1", "state": "inprogres"}, {"id": "2", "state": "completed"}, {"id": "3"}]
    order = {"orderItem": [{"action": "add", **item} for item in items], "externalId": "x"}
    answer = await business.provider.post("/tmf-api/resourceOrderingManagement/v4/resourceOrder", order)
    assert answer.status == 201, answer.body
    words = answer.headers.get("hansa-words", "")
    assert words.startswith("orderItem[0].state=inprogres; known=")


async def test_creates_that_come_together_name_their_words_by_their_places(business: Business) -> None:
    operations = [
        {"op": "add", "path": "/-", "value": {"name": "x", "lifecycleStatus": status}}
        for status in ("Lauched", "In study")
    ]
    answer = await business.provider.patch(
        OFFERINGS, operations, headers={"content-type": "application/json-patch+json"}
    )
    assert answer.status == 200, answer.body
    assert answer.headers["hansa-words"] == "[0].lifecycleStatus=Lauched; known=Launched"
    assert answer.headers["hansa-publication"] == "private; reason=lifecycle-status"
