"""Every attribute that clients only read has a writer: a date, a task, a job, or the operator."""

from __future__ import annotations

from typing import Any, Final

import pytest

from hansa.business.jobs.files import is_job
from hansa.business.models import Api, Resource
from hansa.core.clock import ManualClock, rfc3339
from tests.support.business import MODELS, Business
from tests.unit.business.test_resources import check_refused

WRITES: Final = frozenset({"create", "patch", "replace"})
SERVED = [(api, resource) for api in MODELS.apis for resource in api.resources]
SERVICE_ORDERS = "/tmf-api/serviceOrdering/v4/serviceOrder"


def without_writer(api: Api, resource: Resource) -> set[str]:
    """Attributes that nothing here ever writes, and that nobody may."""
    dates = {*resource.stamped_on_create, *resource.stamped_on_write, *resource.stamped_on_status}
    written = dates | {"id", "href"} | resource.stamped_in_state.keys()
    task = resource.task
    if task is not None:
        written |= {
            one
            for one in (task.reason, task.completed, task.outcome, resource.status_attribute)
            if one is not None
        }
    by_operator = {*resource.methods, *resource.operator_methods}
    can_change = bool(by_operator & {"patch", "replace"})
    unwritten = set()
    for name, item in api.attributes_of(resource.type).items():
        is_closed = item.access == "read-only" or (item.access == "update-only" and "create" in by_operator)
        if is_closed and name not in written and not can_change and not is_job(resource):
            unwritten.add(name)
    return unwritten


@pytest.mark.parametrize(("api", "resource"), SERVED, ids=[f"{a.id}-{r.path}" for a, r in SERVED])
def test_every_attribute_that_clients_only_read_has_a_writer(api: Api, resource: Resource) -> None:
    assert without_writer(api, resource) == set()


ORDERS: Final[dict[str, tuple[str, dict[str, Any], list[str], dict[str, int]]]] = {
    "service order": (
        SERVICE_ORDERS,
        {"serviceOrderItem": [{"id": "1", "action": "add"}]},
        ["inProgress", "completed"],
        {"startDate": 0, "completionDate": 1},
    ),
    "product order": (
        "/tmf-api/productOrderingManagement/v4/productOrder",
        {"productOrderItem": [{"id": "1", "action": "add"}]},
        ["inProgress", "completed"],
        {"completionDate": 1},
    ),
    "resource order": (
        "/tmf-api/resourceOrderingManagement/v4/resourceOrder",
        {"orderItem": [{"id": "1", "action": "add"}]},
        ["inProgress", "completed"],
        {"completionDate": 1},
    ),
    "trouble ticket": (
        "/tmf-api/troubleTicket/v4/troubleTicket",
        {"description": "x", "severity": "x", "ticketType": "x"},
        ["inProgress", "resolved"],
        {"resolutionDate": 1},
    ),
    "quote": (
        "/tmf-api/quoteManagement/v4/quote",
        {"quoteItem": [{"id": "1", "action": "add"}]},
        ["pending", "approved"],
        {"effectiveQuoteCompletionDate": 1},
    ),
}


@pytest.mark.parametrize("name", ORDERS)
async def test_dates_of_transitions_are_set_when_they_happen(business: Business, name: str) -> None:
    path, body, states, dates = ORDERS[name]
    created = await business.provider.post(path, body)
    assert created.status == 201, created.body
    assert not dates.keys() & created.json().keys()
    moments = []
    assert isinstance(business.clock, ManualClock)
    for number, state in enumerate(states):
        await business.clock.advance(60.0)
        moments.append(rfc3339(business.clock.now()))
        changed = (
            await business.provider.patch(
                created.headers["location"], {("status" if name == "trouble ticket" else "state"): state}
            )
        ).json()
        for date, at in dates.items():
            assert changed.get(date) == (moments[at] if number >= at else None)


async def test_the_operator_alone_writes_what_others_only_read(business: Business) -> None:
    body = {"serviceOrderItem": [{"id": "1", "action": "add"}]}
    address = (await business.provider.post(SERVICE_ORDERS, body)).headers["location"]
    milestone = {"milestone": [{"name": "installed", "status": "reached"}]}
    message = check_refused(await business.provider.patch(address, milestone), 400, "invalid")
    assert message.startswith("milestone: cannot be changed")
    changed = await business.operator.patch(address, milestone)
    assert changed.json()["milestone"][0]["name"] == "installed"
    own = {**body, "startDate": "2025-01-01T00:00:00Z", **milestone}
    assert "is set by" in check_refused(await business.provider.post(SERVICE_ORDERS, own), 400, "invalid")
    created = await business.operator.post(SERVICE_ORDERS, own)
    assert (created.status, created.json()["startDate"]) == (201, "2025-01-01T00:00:00Z")
    moved = await business.operator.patch(created.headers["location"], {"state": "inProgress"})
    assert moved.json()["startDate"] == "2025-01-01T00:00:00Z"
    replaced = await business.operator.request("PUT", address, {**changed.json(), "milestone": []})
    assert replaced.json()["milestone"] == []
    refused = await business.operator.patch(address, {"id": "other", "href": "x"})
    assert refused.status == 400
