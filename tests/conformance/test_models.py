"""Models against the official documents.

Paths, methods, types, attributes, what is required, enumerations, events.

Every difference is listed with its reason in `differences.py`; one that is listed and no longer there fails
as well.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hansa.business.models import Api, load
from hansa.business.models.form import read_model
from tests.conformance.differences import DIFFERENCES, added, left_out
from tests.conformance.official import base_paths, document, documents, said_by_document, said_by_model
from tools.derive_model import derive

MODELS = Path(__file__).parents[2] / "src/hansa/business/models"
APIS = load().apis


def official(shared: Path, api_id: str) -> Api:
    """The model that a document alone gives."""
    text, _ = derive(document(shared, api_id), base_paths(shared)[api_id], api_id)
    return read_model(text, api_id)


def differences(api: Api, shared: Path) -> tuple[set[str], set[str]]:
    """What the document says and the model does not, and the other way round."""
    raw = document(shared, api.id)
    theirs, ours = set(said_by_document(raw, api)), set(said_by_model(api, raw))
    return theirs - ours, ours - theirs


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.id)
def test_a_model_differs_from_its_document_only_where_a_reason_is_given(shared: Path, api: Api) -> None:
    assert differences(api, shared) == (left_out(api.id), added(api.id))


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.id)
def test_a_model_is_the_one_of_its_document(shared: Path, api: Api) -> None:
    said = document(shared, api.id)["info"]
    assert (api.base_path, api.version) == (base_paths(shared)[api.id], said["version"])


def test_every_document_has_a_model_and_no_difference_is_that_of_another(shared: Path) -> None:
    ids = {api.id for api in APIS}
    assert len(ids) == 69
    assert documents(shared).keys() == ids
    assert {api_id for group in DIFFERENCES for api_id in (*group.left_out, *group.added)} <= ids
    assert all(len(group.reason) > 20 and (group.left_out or group.added) for group in DIFFERENCES)


@pytest.mark.parametrize(
    ("before", "after", "missing", "new"),
    [
        (
            'tradingName = "string required"',
            'tradingName = "string"',
            "Organization.tradingName is required",
            None,
        ),
        ('gender = "string"\n', "", "Individual.gender is string", None),
        (
            '"closed"]',
            '"shut"]',
            "OrganizationStateType is one of initialized | validated | closed",
            "OrganizationStateType is one of initialized | validated | shut",
        ),
        ('"patch", "delete"]', '"delete"]', "PATCH /individual/{id}", None),
        ('"StateChange", "Delete"]', '"Delete"]', "event IndividualStateChangeEvent", None),
        (
            'otherName = "OtherNameIndividual[]"',
            'otherName = "OtherNameIndividual"',
            "Individual.otherName is a list of OtherNameIndividual",
            "Individual.otherName is OtherNameIndividual",
        ),
    ],
)
def test_a_changed_model_is_noticed(
    shared: Path, before: str, after: str, missing: str, new: str | None
) -> None:
    text = (MODELS / "tmf632.toml").read_text()
    assert before in text
    changed = read_model(text.replace(before, after, 1), "changed")
    further = {new, *added("TMF632")} if new else added("TMF632")
    assert differences(changed, shared) == ({missing}, further)


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.id)
def test_the_tool_derives_what_the_models_hold(shared: Path, api: Api) -> None:
    raw = document(shared, api.id)
    derived = set(said_by_model(official(shared, api.id), raw))
    ours = set(said_by_model(api, raw))
    assert derived - ours <= left_out(api.id)
    assert ours - derived <= added(api.id)


def test_the_tool_reports_what_it_cannot_derive(shared: Path) -> None:
    raw = document(shared, "TMF688")
    _, doubts = derive(raw, base_paths(shared)["TMF688"], "TMF688")
    assert [doubt for doubt in doubts if doubt.startswith("/topic/{topicId}/hub ")]
    broken = {**raw, "definitions": {**raw["definitions"]}}
    broken["definitions"]["Topic"] = {
        "type": "object",
        "properties": {
            "owner": {"$ref": "#/definitions/Nobody"},
            "place": {"properties": {"x": {}}, "type": "object"},
        },
    }
    text, doubts = derive(broken, "/tmf-api/event/v4/", "TMF688", taken={"Topic"})
    assert 'collection = "TMF688Topic"' in text
    assert {doubt.partition(" ")[0] for doubt in doubts} >= {"Topic.owner", "Topic.place"}


def test_the_form_carries_every_shape_of_the_documents(shared: Path) -> None:
    shapes: set[object] = set()
    for api in APIS:
        for resource in api.resources:
            shapes |= {resource.status_attribute, "{" in resource.path, *resource.methods}
            assert resource.type in api.types
    assert shapes >= {None, "state", "status", "lifecycleStatus", True, False, "replace", "patch"}
