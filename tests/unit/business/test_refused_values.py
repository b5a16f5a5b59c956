"""What a refused request held is freed with its answer, and does not wait for the collector of cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.business import CATALOG, Business
from tests.unit.business.test_resources import made

OFFERINGS = f"{CATALOG}/productOffering"
LARGE = "y" * 200_000
WRONG_REFERENCE = {"id": "urn:x:1", "@referredType": "ProductSpecification"}

REFUSED: dict[str, tuple[str, str, Any, dict[str, str]]] = {
    "an unknown attribute": ("POST", "", {"name": "x", "none": LARGE}, {}),
    "a reference of a wrong type": (
        "POST",
        "",
        {"name": "x", "description": LARGE, "productSpecification": WRONG_REFERENCE},
        {},
    ),
    "an identifier that there is": ("POST", "", {"name": "x", "id": "urn:x:1", "description": LARGE}, {}),
    "a patch with an unknown attribute": ("PATCH", "/urn:x:1", {"none": LARGE}, {}),
    "a patch of another version": ("PATCH", "/urn:x:1", {"description": LARGE}, {"if-match": '"x"'}),
    "a patch at a path that leads nowhere": (
        "PATCH",
        "/urn:x:1",
        [{"op": "add", "path": "/none/none", "value": LARGE}],
        {"content-type": "application/json-patch+json"},
    ),
}


@pytest.fixture
def without_collector() -> Iterator[None]:
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("what", REFUSED)
async def test_a_refused_value_is_freed_with_its_answer(business: Business, what: str) -> None:
    await made(business, id="urn:x:1")
    method, path, body, headers = REFUSED[what]
    for is_first in (True, False):  # the first one fills caches
        if not is_first:
            gc.collect()
            gc.disable()
        answer = await business.operator.request(method, OFFERINGS + path, body, headers=headers)
        assert answer.status >= 400
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    holders = [holder for holder in gc.garbage if any(map(is_large, gc.get_referents(holder)))]
    assert [type(holder).__name__ for holder in holders] == []


def is_large(value: object) -> bool:
    """Whether it is a text of the size of the body."""
    return isinstance(value, (bytes, str)) and len(value) > len(LARGE) // 2
