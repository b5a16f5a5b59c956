"""The sample data of the demo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

from hansa.business.models import PUBLIC_STATUSES, load
from hansa.business.validation.validator import Validator
from hansa.cli.demo.league import SAMPLE, sample_files
from hansa.cli.imports.lines import EntityLine, read_lines
from hansa.node.folder.demo_league import NAMES


@cache
def sample() -> dict[str, tuple[EntityLine, ...]]:
    files: dict[str, tuple[EntityLine, ...]] = {}
    for name in NAMES:
        lines = tuple(read_lines([SAMPLE / f"{name}.jsonl"]))
        assert all(isinstance(line, EntityLine) for line in lines)
        files[name] = tuple(line for line in lines if isinstance(line, EntityLine))
    return files


def entities() -> list[EntityLine]:
    return [line for lines in sample().values() for line in lines]


def references(value: Any) -> Iterator[tuple[str, str]]:
    """Type and identifier of everything that is referred to."""
    if isinstance(value, dict):
        if "@referredType" in value:
            yield value["@referredType"], value["id"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_entity_keeps_the_rules_of_its_api() -> None:
    models = load()
    for line in entities():
        api, resource = models.served(line.type)
        validator = Validator(api)
        validator.check_names(resource.type, line.body, line.body)
        validator.check(resource.type, line.body)


def test_identifiers_are_urns_of_their_type_and_unique() -> None:
    identifiers = [line.id for line in entities()]
    assert len(set(identifiers)) == len(identifiers)
    assert all(identifier.startswith("urn:ngsi-ld:") for identifier in identifiers)


def test_every_reference_leads_to_an_entity_of_that_type_and_some_to_other_members() -> None:
    types = {line.id: line.type for line in entities()}
    homes = {line.id: name for name, lines in sample().items() for line in lines}
    crossing = 0
    for line in entities():
        for type_name, identifier in references(line.body):
            assert types.get(identifier) == type_name, (line.id, identifier)
            crossing += homes[identifier] != homes[line.id]
    assert crossing > 20


def test_there_are_a_dozen_providers_and_some_forty_offerings() -> None:
    counts = Counter(line.type for line in entities())
    assert counts["Organization"] == 12
    assert 40 <= counts["ProductOffering"] <= 50
    assert all(any(line.type == "ProductOffering" for line in lines) for lines in sample().values())


def test_every_offering_has_categories_a_specification_and_prices_in_the_same_status() -> None:
    statuses = {line.id: line.body.get("lifecycleStatus") for line in entities()}
    for line in entities():
        if line.type == "ProductOffering":
            assert line.body["category"]
            assert line.body["productSpecification"]["id"] in statuses
            for price in line.body["productOfferingPrice"]:
                assert statuses[price["id"]] == line.body["lifecycleStatus"]


def test_most_are_public_a_few_are_drafts_and_nothing_public_refers_to_what_is_private() -> None:
    models = load()
    is_public = {
        line.id: models.is_public(line.type, line.body.get("lifecycleStatus")) for line in entities()
    }
    drafts = [line for line in entities() if line.type == "ProductOffering" and not is_public[line.id]]
    assert 2 <= len(drafts) <= 4
    assert {line.body["lifecycleStatus"] for line in drafts}.isdisjoint(PUBLIC_STATUSES)
    for line in entities():
        if is_public[line.id]:
            assert all(is_public[identifier] for _, identifier in references(line.body)), line.id


def test_a_smaller_league_shares_the_files_out_and_a_larger_one_has_members_without() -> None:
    for count in (1, 2, 3, 4, 7):
        shares = sample_files(count)
        assert len(shares) == count
        assert sorted(file.stem for share in shares for file in share) == sorted(NAMES)
        assert all(file.is_file() for share in shares for file in share)
    assert [len(share) for share in sample_files(6)] == [1, 1, 1, 1, 0, 0]
