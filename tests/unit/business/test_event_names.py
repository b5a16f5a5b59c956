"""How events are called, over all models."""

from __future__ import annotations

from typing import Final

import pytest

from hansa.business.models import Api, Resource
from hansa.business.models.event_names import SUFFIXES, event_name, offered_names, reached_names
from hansa.business.models.records import capitalized
from hansa.store.records import Operation
from tests.support.business import MODELS

USUAL: Final[dict[Operation, str]] = {
    "create": "CreateEvent",
    "change": "AttributeValueChangeEvent",
    "state": "StateChangeEvent",
    "delete": "DeleteEvent",
}
CHANGE, VALUE, STATUS = "ChangeEvent", "AttributeValueChangeEvent", "StatusChangeEvent"
BOTH: Final[dict[Operation, str]] = {"change": CHANGE, "state": CHANGE}
STATE_AS_STATUS: Final[dict[Operation, str]] = {"state": STATUS}
STATE_AS_VALUE: Final[dict[Operation, str]] = {"state": VALUE}
EXECUTION: Final[dict[Operation, str]] = {"state": "ExecutionStateChangeEvent"}

UNUSUAL: Final[dict[str, dict[str, dict[Operation, str]]]] = {
    "TMF621": {"troubleTicket": STATE_AS_STATUS},
    "TMF628": dict.fromkeys(("measurementCollectionJob", "onDemandCollection"), EXECUTION),
    "TMF633": dict.fromkeys(
        ("serviceCatalog", "serviceCategory", "serviceCandidate", "serviceSpecification"), BOTH
    ),
    "TMF634": dict.fromkeys(
        ("resourceCatalog", "resourceCategory", "resourceCandidate", "resourceSpecification"), BOTH
    ),
    "TMF635": {"usageSpecification": STATE_AS_VALUE},
    "TMF644": dict.fromkeys(
        ("partyPrivacyProfile", "partyPrivacyProfileSpecification", "partyPrivacyAgreement"),
        STATE_AS_STATUS,
    ),
    "TMF653": {"serviceTestSpecification": STATE_AS_VALUE},
    "TMF655": {"changeRequest": STATE_AS_STATUS},
    "TMF657": dict.fromkeys(("serviceLevelObjective", "serviceLevelSpecification"), STATE_AS_VALUE),
    "TMF663": {"shoppingCart": STATE_AS_VALUE},
    "TMF667": {"document": BOTH, "documentSpecification": STATE_AS_VALUE},
    "TMF668": dict.fromkeys(("partnershipSpecification", "partnership"), BOTH),
    "TMF670": {"paymentMethod": STATE_AS_STATUS},
    "TMF674": {"geographicSite": STATE_AS_STATUS},
    "TMF675": {"geographicLocation": STATE_AS_VALUE},
    "TMF683": {"partyInteraction": STATE_AS_STATUS},
    "TMF685": {"reservation": {"create": "CreationEvent", "delete": "RemoveEvent"}},
    "TMF688": {"topic": BOTH},
    "TMF696": dict.fromkeys(
        (
            "productOfferingRiskAssessment",
            "partyRoleRiskAssessment",
            "partyRoleProductOfferingRiskAssessment",
            "shoppingCartRiskAssessment",
            "productOrderRiskAssessment",
        ),
        STATE_AS_STATUS,
    ),
    "TMF703": dict.fromkeys(("entity", "association"), BOTH),
    "TMF707": dict.fromkeys(("testCaseResult", "testSuiteResult", "nonFunctionalTestResult"), BOTH),
    "TMF730": {"resourceSpecification": BOTH},
    "TMF908": {
        "iotDevice": {"change": CHANGE},
        **dict.fromkeys(("iotDeviceSpecification", "resourceSpecification", "alarm"), BOTH),
    },
    "TMF915": {
        **dict.fromkeys(
            ("aiContractSpecification", "aiModelSpecification", "aiContractViolation"), STATE_AS_VALUE
        ),
        "topic": BOTH,
    },
    "TMF921": dict.fromkeys(("intent", "intentReport"), BOTH),
}
"""Endings of names that differ from the usual ones, because the documents' do."""

SERVED: Final = [(api, resource) for api in MODELS.apis for resource in api.resources]


@pytest.mark.parametrize(("api", "resource"), SERVED, ids=[f"{a.id}-{r.path}" for a, r in SERVED])
def test_every_operation_has_the_name_of_the_document_or_else_the_usual_one(
    api: Api, resource: Resource
) -> None:
    expected = {**USUAL, **UNUSUAL.get(api.id, {}).get(resource.name, {})}
    names = {operation: event_name(resource, operation) for operation in SUFFIXES}
    assert {operation: name.lower() for operation, name in names.items()} == {
        operation: (resource.name + suffix).lower() for operation, suffix in expected.items()
    }
    assert offered_names(resource) == {*resource.events, *names.values()}
    assert all(name.startswith(capitalized(resource.name)) for name in offered_names(resource))


def test_every_unusual_name_is_in_its_document() -> None:
    for api, resource in SERVED:
        for operation in UNUSUAL.get(api.id, {}).get(resource.name, {}):
            assert event_name(resource, operation) in resource.events


def test_states_that_have_an_event_of_their_own_are_reported() -> None:
    names = {resource.name: reached_names(resource) for _, resource in SERVED if reached_names(resource)}
    balances = ("topupBalance", "adjustBalance", "transferBalance", "reserveBalance")
    assert names == {
        "troubleTicket": ("TroubleTicketResolvedEvent",),
        "changeRequest": ("ChangeRequestApprovalRequiredEvent",),
        **{
            name: (f"{capitalized(name)}CancelEvent", f"{capitalized(name)}FailureEvent") for name in balances
        },
    }
    ticket = next(resource for _, resource in SERVED if resource.name == "troubleTicket")
    assert reached_names(ticket, "resolved") == ("TroubleTicketResolvedEvent",)
    assert reached_names(ticket, "closed") == ()
