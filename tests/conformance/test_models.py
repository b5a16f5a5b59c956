"""Models against the official documents: paths, methods, types, attributes, what is required, enumerations, events.

Every difference is listed here with its reason; one that is listed and no longer there fails as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from hansa.business.models import Api, Attribute, EntityType, load
from hansa.business.models.form import read
from tools.derive_model import derive

DIFFERENCES: Final[dict[str, dict[str, str]]] = {
    "TMF620": {
        "not served: importJob": "import and export jobs come with the other asynchronous resources",
        "not served: exportJob": "import and export jobs come with the other asynchronous resources",
        "ProductOffering.relatedParty is ours: RelatedParty[]": "marketplaces name the seller of an offering there",
    },
    "TMF632": {},
}


def documents(shared: Path) -> dict[str, Any]:
    """Official documents by API."""
    return {path.name[:6]: path for path in sorted((shared / "tmf" / "oas-v4").glob("TMF*.json"))}


def base_paths(shared: Path) -> Mapping[str, str]:
    """Base path by API."""
    raw = json.loads((shared / "tmf" / "basepaths-v4.json").read_text())
    return {f"TMF{number}": path for number, path in raw.items()}


def official(shared: Path, api_id: str) -> Api:
    """The model that a document alone gives."""
    raw = json.loads(documents(shared)[api_id].read_text(encoding="utf-8"))
    text, _ = derive(raw, base_paths(shared)[api_id], api_id)
    return read(text, api_id)


def written(attribute: Attribute) -> str:
    """An attribute in a line."""
    bounds = f"{attribute.items_min or ''}..{attribute.items_max or ''}".replace(
        "..", "", attribute.items_min == 0
    )
    words = [attribute.type + (f"[{bounds}]" if attribute.is_list else ""), attribute.access]
    words += [
        word
        for word, holds in (("required", attribute.is_required), ("returned", attribute.is_always_returned))
        if holds
    ]
    words += [f"default={attribute.default}"] if attribute.default is not None else []
    return " ".join(words).replace(" any", "")


def differences(ours: Api, theirs: Api) -> Iterator[str]:
    """What a model says otherwise than its document."""
    if (ours.base_path, ours.version) != (theirs.base_path, theirs.version):
        yield f"base path or version: {ours.base_path} {ours.version}"
    yield from differences_of_resources(ours, theirs)
    for name, found in ours.types.items():
        if name in theirs.types:
            yield from differences_of_types(found, theirs.types[name])
        else:
            yield f"type is ours: {name}"
    for name, values in ours.enumerations.items():
        if theirs.enumerations.get(name) != values:
            yield f"enumeration {name}: {values}"


def differences_of_resources(ours: Api, theirs: Api) -> Iterator[str]:
    """Paths, methods, events."""
    served = {resource.path: resource for resource in ours.resources}
    for resource in theirs.resources:
        mine = served.pop(resource.path, None)
        if mine is None:
            yield f"not served: {resource.path}"
            continue
        for facet in ("type", "methods", "events", "created_status", "status_attribute"):
            if getattr(mine, facet) != getattr(resource, facet):
                yield f"{resource.path}: {facet} {getattr(mine, facet)}"
    yield from (f"served without a document: {path}" for path in served)


def differences_of_types(ours: EntityType, theirs: EntityType) -> Iterator[str]:
    """Attributes and what is said of them."""
    for attribute in ours.attributes.values():
        other = theirs.attributes.get(attribute.name)
        if other is None:
            yield f"{ours.name}.{attribute.name} is ours: {written(attribute)}"
        elif written(attribute) != written(other):
            yield f"{ours.name}.{attribute.name}: {written(attribute)}, not {written(other)}"
    for gone in theirs.attributes.keys() - ours.attributes.keys():
        yield f"{ours.name}.{gone} is missing"


@pytest.mark.parametrize("api", load().apis, ids=lambda api: api.id)
def test_a_model_differs_from_its_document_only_where_a_reason_is_given(shared: Path, api: Api) -> None:
    assert set(differences(api, official(shared, api.id))) == set(DIFFERENCES[api.id])
    assert all(len(reason) > 20 for reason in DIFFERENCES[api.id].values())


def test_a_changed_model_is_noticed(shared: Path) -> None:
    theirs = official(shared, "TMF632")
    text = (Path(__file__).parents[2] / "src/hansa/business/models/tmf632.toml").read_text()
    for before, after, told in (
        (
            'tradingName = "string required"',
            'tradingName = "string"',
            "Organization.tradingName: string, not string required",
        ),
        ('gender = "string"\n', "", "Individual.gender is missing"),
        ('"closed"]', '"shut"]', "enumeration OrganizationStateType: ('initialized', 'validated', 'shut')"),
        (
            '"patch", "delete"]\nstatus = "status"\nevents',
            '"delete"]\nstatus = "status"\nevents',
            "individual: methods",
        ),
        (
            'otherName = "OtherNameIndividual[]"',
            'otherName = "OtherNameIndividual"',
            "Individual.otherName: OtherNameIndividual,",
        ),
    ):
        assert before in text
        found = list(differences(read(text.replace(before, after, 1), "changed"), theirs))
        assert [one for one in found if one.startswith(told)], found


def test_the_form_carries_every_document(shared: Path) -> None:
    found = documents(shared)
    assert len(found) == 69
    shapes = set()
    for api_id in found:
        api = official(shared, api_id)
        assert api.base_path == base_paths(shared)[api_id]
        assert api.resources, api_id
        for resource in api.resources:
            shapes |= {
                resource.status_attribute,
                resource.created_status,
                "{" in resource.path,
                *resource.methods,
            }
            assert resource.type in api.types
    assert shapes >= {None, "state", "status", "lifecycleStatus", 200, 201, True, False, "replace", "patch"}


def test_every_difference_has_a_model(shared: Path) -> None:
    assert DIFFERENCES.keys() == {api.id for api in load().apis}
