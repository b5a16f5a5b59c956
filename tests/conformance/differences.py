"""Where models differ from their documents, and why.

`left_out` is what a document says and its model does not, `added` the other way round; both in the sentences
of `official.py`. A model that differs otherwise fails, and so does a difference that is there no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from hansa.business.models import load

Sentences = Mapping[str, tuple[str, ...]]


class Group(NamedTuple):
    """Differences with one reason."""

    reason: str
    left_out: Sentences = MappingProxyType({})
    added: Sentences = MappingProxyType({})


GEOMETRIES: Final = (
    "GeoJsonPoint | GeoJsonMultiPoint | GeoJsonLineString | GeoJsonMultiLineString | GeoJsonPolygon"
)
TWO_OR_MORE: Final = "a list of 2 to any number of"
RESOURCE_VALUE: Final = ("ResourceRefOrValue.id is required", "ResourceRefOrValue.href is required")
TOPIC_HUBS: Final = (
    "GET /topic/{topicId}/hub",
    "POST /topic/{topicId}/hub",
    "POST /topic/{topicId}/hub answers 201",
    "GET /topic/{topicId}/hub/{id}",
    "DELETE /topic/{topicId}/hub/{id}",
)


JOB_PROGRESS: Final = (
    "JobProgress is a type",
    "JobProgress.done is integer",
    "JobProgress.failed is integer",
    "JobProgress.total is integer",
    *(
        f"{job}.progress is {what}"
        for job in ("ExportJob", "ImportJob")
        for what in ("JobProgress", "in no create")
    ),
)


def for_operators(methods: str, *paths: str) -> tuple[str, ...]:
    """Sentences about paths with the same further methods."""
    return tuple(f"/{path} has {methods} for operators" for path in paths)


def belongs_to(*types: str) -> tuple[str, ...]:
    """Sentences about types with related parties."""
    return tuple(f"{name}.relatedParty is a list of RelatedParty" for name in types)


def visible_to() -> dict[str, tuple[str, ...]]:
    """The sentences about `visibleTo`, by API."""
    types = {
        api.id: dict.fromkeys(one.type for one in api.resources if one.visibility == "catalogue")
        for api in load().apis
    }
    return {
        api_id: tuple(f"{name}.visibleTo is a list of string" for name in names)
        for api_id, names in types.items()
        if names
    }


DIFFERENCES: Final = (
    Group(
        "A provider chooses which marketplaces get an entity, for which no document has an attribute.",
        added=visible_to(),
    ),
    Group(
        "What is in a catalogue belongs to somebody, also where the document has no attribute for that.",
        added={
            "TMF620": belongs_to("Category", "ProductOfferingPrice"),
            "TMF633": belongs_to("ServiceCandidate", "ServiceCategory"),
            "TMF634": belongs_to("ResourceCandidate"),
            "TMF662": belongs_to("AssociationSpecification", "EntityCatalogItem", "EntityCategory"),
        },
    ),
    Group(
        "The server gives a resource its identity, also where the document asks the client for it.",
        left_out={
            "TMF639": ("Resource.id is required", "Resource.href is required"),
            "TMF678": ("AppliedCustomerBillingRate.id is required",),
            "TMF908": ("IotDevice.id is required",),
        },
        added={
            "TMF639": ("Resource.id is in answers", "Resource.href is in answers"),
            "TMF678": ("AppliedCustomerBillingRate.id is in answers",),
            "TMF908": ("IotDevice.id is in answers",),
        },
    ),
    Group(
        "An identifier is a string (TMF630 Part 1, chapter 2), and AlarmRef of the same document says so.",
        left_out={
            "TMF642": ("Alarm.id is integer", "AlarmRefOrValue.id is integer"),
            "TMF908": ("Alarm.id is integer",),
        },
        added={
            "TMF642": ("Alarm.id is string", "AlarmRefOrValue.id is string"),
            "TMF908": ("Alarm.id is string",),
        },
    ),
    Group(
        "A pattern has the attributes that an alarm is to have; one that is held to a whole alarm matches nothing else.",
        left_out={
            "TMF642": (
                "AckAlarms.alarmPattern is a list of 1 to any number of Alarm",
                "ClearAlarms.alarmPattern is a list of 1 to any number of Alarm",
                "CommentAlarms.alarmPattern is a list of 1 to any number of Alarm",
                "UnAckAlarms.alarmPattern is a list of 1 to any number of Alarm",
            ),
        },
        added={
            "TMF642": (
                "AckAlarms.alarmPattern is a list of 1 to any number of AlarmRefOrValue",
                "ClearAlarms.alarmPattern is a list of 1 to any number of AlarmRefOrValue",
                "CommentAlarms.alarmPattern is a list of 1 to any number of AlarmRefOrValue",
                "UnAckAlarms.alarmPattern is a list of 1 to any number of AlarmRefOrValue",
            ),
        },
    ),
    Group(
        "A job that runs tells how far it is, for which the document has no attribute.",
        added={
            "TMF620": JOB_PROGRESS,
            "TMF633": JOB_PROGRESS,
            "TMF634": JOB_PROGRESS,
            "TMF662": JOB_PROGRESS,
        },
    ),
    Group(
        "A value in place of a reference has no identity yet (TMF630 Part 2, RefOrValue).",
        left_out={
            "TMF638": ("ServiceRefOrValue.id is required",),
            "TMF639": RESOURCE_VALUE,
            "TMF652": RESOURCE_VALUE,
            "TMF664": RESOURCE_VALUE,
            "TMF702": (
                *RESOURCE_VALUE,
                "RelatedPlaceRefOrValue.id is required",
                "RelatedPlaceRefOrValue.href is required",
            ),
            "TMF730": RESOURCE_VALUE,
        },
    ),
    Group(
        "A type can be extended by whoever uses it (TMF630 Part 2), so @type is not held to a list.",
        left_out={
            "TMF673": (f"GeographicLocationRefOrValue.@type is one of {GEOMETRIES}",),
            "TMF908": (f"GeographicLocation.@type is one of {GEOMETRIES}",),
            "TMF921": ("Expression.@type is one of TurtleExpression | JsonLdExpression | RdxmlExpression",),
        },
        added={
            "TMF673": ("GeographicLocationRefOrValue.@type is string",),
            "TMF908": ("GeographicLocation.@type is string",),
            "TMF921": ("Expression.@type is string",),
        },
    ),
    Group(
        "What an entity is does not change (TMF630 Part 2), although this update lists it.",
        added={
            "TMF678": ("CustomerBill.@type is in no update", "CustomerBill.@baseType is in no update"),
        },
    ),
    Group(
        "The body of a create has one role where answers have the list of at least two: the list is what is stored.",
        left_out={
            "TMF662": (
                "Association.associationRole is AssociationRole",
                "AssociationSpecification.associationRoleSpec is AssociationRoleSpecification",
            ),
            "TMF703": ("Association.associationRole is AssociationRole",),
        },
        added={
            "TMF662": (
                f"Association.associationRole is {TWO_OR_MORE} AssociationRole",
                f"AssociationSpecification.associationRoleSpec is {TWO_OR_MORE} AssociationRoleSpecification",
            ),
            "TMF703": (f"Association.associationRole is {TWO_OR_MORE} AssociationRole",),
        },
    ),
    Group(
        "Of the statuses that the document offers, the one that says that a resource was created (RFC 9110, 9.3.3).",
        left_out={
            "TMF640": ("POST /service answers 201 or 202",),
            "TMF645": (
                "POST /checkServiceQualification answers 200 or 201",
                "POST /queryServiceQualification answers 200 or 201",
            ),
            "TMF648": ("POST /quote answers 200 or 201",),
            "TMF679": ("POST /productOfferingQualification answers 200 or 201",),
            "TMF687": (
                "POST /adjustProductStock answers 200 or 201",
                "POST /checkProductStock answers 200 or 201",
                "POST /queryProductStock answers 200 or 201",
                "POST /reserveProductStock answers 200 or 201",
            ),
        },
        added={
            "TMF640": ("POST /service answers 201",),
            "TMF645": (
                "POST /checkServiceQualification answers 201",
                "POST /queryServiceQualification answers 201",
            ),
            "TMF648": ("POST /quote answers 201",),
            "TMF679": ("POST /productOfferingQualification answers 201",),
            "TMF687": (
                "POST /adjustProductStock answers 201",
                "POST /checkProductStock answers 201",
                "POST /queryProductStock answers 201",
                "POST /reserveProductStock answers 201",
            ),
        },
    ),
    Group(
        "Hubs of topics are served by the hub, like those of the APIs, and not by a model.",
        left_out={"TMF688": TOPIC_HUBS, "TMF915": TOPIC_HUBS},
    ),
    Group(
        "Offerings of marketplaces name their seller.",
        added={"TMF620": ("ProductOffering.relatedParty is a list of RelatedParty",)},
    ),
    Group(
        "The marketplace's own systems write what the document lets others only read.",
        added={
            "TMF628": for_operators("create, delete", "trackingRecord"),
            "TMF654": (
                *for_operators("create, patch, delete", "bucket", "accumulatedBalance"),
                *for_operators("create, delete", "balanceActionHistory"),
            ),
            "TMF641": for_operators("patch", "cancelServiceOrder"),
            "TMF656": for_operators("create, delete", "serviceProblemEventRecord"),
            "TMF673": for_operators("create, patch, delete", "geographicAddress"),
            "TMF678": (
                *for_operators("create, delete", "customerBill"),
                *for_operators("create, patch, delete", "appliedCustomerBillingRate"),
            ),
            "TMF691": for_operators("create, patch, delete", "userinfo"),
            "TMF908": (
                *for_operators("create, patch, delete", "dataAccessEndpoint"),
                *for_operators("create, delete", "iotDataEvent", "iotManagementEvent"),
            ),
            "TMF921": for_operators("create", "intent/{intentId}/intentReport"),
        },
    ),
    Group(
        "The marketplace's own systems add the outcome to what others only ask for.",
        added={
            "TMF664": for_operators("patch", "heal", "scale", "migrate"),
            "TMF676": for_operators("patch", "payment", "refund"),
            "TMF677": for_operators("patch", "queryUsageConsumption"),
            "TMF678": for_operators("patch", "customerBillOnDemand"),
            "TMF680": for_operators("patch", "queryProductRecommendation"),
            "TMF685": for_operators("patch", "availabilityCheck", "push", "extract"),
            "TMF687": for_operators(
                "patch", "adjustProductStock", "checkProductStock", "reserveProductStock", "queryProductStock"
            ),
            "TMF696": for_operators(
                "patch",
                "productOfferingRiskAssessment",
                "partyRoleRiskAssessment",
                "partyRoleProductOfferingRiskAssessment",
                "shoppingCartRiskAssessment",
                "productOrderRiskAssessment",
            ),
            "TMF701": for_operators("patch", "processFlow"),
            "TMF724": for_operators("patch", "incident", "diagnoseIncident", "resolveIncident"),
        },
    ),
)


def left_out(api_id: str) -> set[str]:
    """What a document says and its model does not."""
    return {sentence for group in DIFFERENCES for sentence in group.left_out.get(api_id, ())}


def added(api_id: str) -> set[str]:
    """What a model says and its document does not."""
    return {sentence for group in DIFFERENCES for sentence in group.added.get(api_id, ())}
