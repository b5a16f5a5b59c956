"""Everything that is wrong with a body is told at once, each with its place."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.business.validation.violations import VIOLATIONS_MAX
from tests.support.business import CATALOG, Business
from tests.unit.business.test_resources import check_refused, made

OFFERINGS = f"{CATALOG}/productOffering"
SIM = 8949020000001234567
"""The number of a SIM card (ICCID), as people send it in characteristics."""
WRONG = {
    "nmae": "x",
    "isBundle": "yes",
    "category": [{"id": 7}],
    "validFor": {"startDateTime": "tomorrow"},
    "lastUpdate": 5,
}
PLACES = ("nmae", "isBundle", "category[0].id", "validFor.startDateTime")


async def test_a_create_is_refused_for_everything_that_is_wrong_with_it(business: Business) -> None:
    answer = await business.provider.post(OFFERINGS, {**WRONG, "id": "a/b", "version": SIM})
    message = check_refused(answer, 400, "invalid")
    for place in (*PLACES, "id", "name", "version"):
        assert message.count(f"{place}: ") >= 1, (place, message)


async def test_a_patch_is_refused_for_everything_too(business: Business) -> None:
    entity = await made(business)
    answer = await business.provider.patch(entity["href"], {**WRONG, "id": "other"})
    message = check_refused(answer, 400, "invalid")
    for place in (*PLACES, "id"):
        assert f"{place}: " in message, (place, message)


async def test_rules_about_content_are_told_together_as_well(business: Business) -> None:
    body = {
        "name": "x",
        "validFor": {"startDateTime": "2026-02-01T00:00:00Z", "endDateTime": "2026-01-01T00:00:00Z"},
        "prodSpecCharValueUse": [{"name": "iccid", "productSpecCharacteristicValue": [{"value": SIM}]}],
    }
    message = check_refused(await business.provider.post(OFFERINGS, body), 400, "invalid")
    assert "validFor" in message
    assert "prodSpecCharValueUse[0].productSpecCharacteristicValue[0].value" in message


@pytest.mark.parametrize("value", [SIM, -SIM, 2**53 + 1, 10**30 + 1])
async def test_a_number_with_too_many_digits_is_named_with_its_place_and_what_to_do(
    business: Business, value: int
) -> None:
    body: dict[str, Any] = {"status": "active", "productCharacteristic": [{"name": "iccid", "value": value}]}
    address = "/tmf-api/productInventory/v4/product"
    message = check_refused(await business.provider.post(address, body), 400, "invalid")
    assert "productCharacteristic[0].value: has more digits" in message
    assert f'send it as text, "{value}"' in message
    body["productCharacteristic"][0]["value"] = str(value)
    answer = await business.provider.post(address, body)
    assert answer.status == 201, answer.body
    entity = answer.json()
    assert entity["productCharacteristic"][0]["value"] == str(value)
    patch = {"productCharacteristic": [{"name": "iccid", "value": value}]}
    message = check_refused(await business.provider.patch(entity["href"], patch), 400, "invalid")
    assert "productCharacteristic[0].value: has more digits" in message


async def test_of_very_many_only_so_many_are_told(business: Business) -> None:
    answer = await business.provider.post(OFFERINGS, {"name": "x", **{f"x{n}": n for n in range(100)}})
    message = check_refused(answer, 400, "invalid")
    assert message.endswith(f"and {100 - VIOLATIONS_MAX} more.")
