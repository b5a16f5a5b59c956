"""A replica is checked as what a client creates is: the honest pass, arbitrary shapes do not."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec
import pytest

from hansa.business.validation.replicas import ReplicaCheck
from hansa.business.visibility import PublicParts
from hansa.core.clock import ManualClock
from hansa.core.entity_form import form_violation, size_violation
from tests.support.business import MODELS, Business, open_business
from tests.support.examples import full_body

CHECK = ReplicaCheck(MODELS, ManualClock())
PARTS = PublicParts(MODELS)
CATALOGUE = sorted(MODELS.catalogue_types)


async def check_all_public(business: Business) -> int:
    """Hold everything that may be published to what its readers demand; how many entities that are."""
    count = 0
    async for page in business.store.scan(public_only=False):
        for stored in page:
            if stored.type in MODELS.catalogue_types:
                body = PARTS.published(stored).body
                entity = msgspec.json.decode(body)
                assert size_violation(body) is None
                assert form_violation(body, entity) is None
                assert CHECK(stored.type, entity) is None, stored.id
                count += 1
    return count


async def test_what_a_client_can_create_passes_at_every_reader() -> None:
    business = await open_business()
    created = 0
    for collection in CATALOGUE:
        api, resource = MODELS.served(collection)
        if resource.parent_name is None:
            path = api.base_path + resource.path
            created += (await business.operator.post(path, full_body(api, resource))).status == 201
    for line in files("hansa.cli.demo.sample").joinpath("riga.jsonl").read_text().splitlines():
        body = msgspec.json.decode(line)
        base, path = MODELS.path_of(body["@type"])
        created += (await business.operator.post(base + path, body)).status == 201
    assert created > 60
    assert await check_all_public(business) > 60
    await business.store.close()


ARBITRARY: dict[str, dict[str, Any]] = {
    "no attribute of the model": {},
    "a name that is an object": {"name": {"<script>": 1}},
    "categories that are a text": {"name": "x", "category": "all"},
    "a date that is none": {"name": "x", "lastUpdate": "yesterday"},
    "a reference without an identifier": {"name": "x", "category": [{"name": "x"}]},
    "a period of numbers": {"name": "x", "validFor": {"startDateTime": 7}},
}


@pytest.mark.parametrize("fields", ARBITRARY.values(), ids=list(ARBITRARY))
def test_an_arbitrary_shape_is_rejected_with_what_is_wrong(fields: dict[str, Any]) -> None:
    entity = {"@type": "ProductOffering", "id": "urn:x:1", "lifecycleStatus": "Launched", **fields}
    violation = CHECK("ProductOffering", entity)
    assert violation is not None
    assert violation.startswith("does not fit the model of its type: ")


def test_an_entity_of_another_type_is_rejected() -> None:
    assert CHECK("ProductOffering", {"@type": "Category", "id": "urn:x:1", "name": "x"}) is not None
    assert CHECK("ProductOffering", {"@type": ["ProductOffering"], "id": "urn:x:1", "name": "x"}) is not None
