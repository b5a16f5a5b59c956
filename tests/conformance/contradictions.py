"""Where a conformance kit contradicts the official document of its API, or TMF630, request by request.

The kits of 2018 speak of versions 2 and 3; some later ones were not brought in line with the document either.
A request that is not listed here has to pass. One that is listed has to fail, and what the document says has
to be true.

Where a request that contradicts should have created what others then read, these fail without a fault of
their own. For such a kit there is a correction: with it, those have to pass.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

NOT_SAID: Final = "no "
GUIDELINE: Final = "TMF630"


class Contradiction(NamedTuple):
    """One thing that requests of a kit say against the document."""

    requests: tuple[str, ...]
    """Their names in the kit."""
    attribute: str
    """What they send or ask for: an attribute, or a path."""
    document: str
    """A sentence of the document (`official.py`); with `no` in front, one that it does not say.

    Or a rule of TMF630.
    """
    shows: Literal["always", "until corrected", "once corrected"] = "always"
    """When the requests fail: the correction takes some away, and lets others come to what they check."""


class Kit(NamedTuple):
    """A kit that cannot pass as a whole."""

    contradictions: tuple[Contradiction, ...]
    left_without: tuple[str, ...] = ()
    """Requests that need what a contradicting one should have created."""
    correction: tuple[tuple[str, str], ...] = ()
    """Regular expressions and what to put in their place in the kit, so that these requests find it."""


QUALIFIED: Final = "{0}QualificationItem.state,{0}QualificationItem.qualificationItemResult"
ALWAYS_RETURNED: Final = "TMF630 Part 1, 4.3: id and href are always in an answer, whatever `fields` names"
TICKET_STATUS: Final = (
    "TroubleTicketStatusType is one of "
    "acknowledged | rejected | pending | held | inProgress | cancelled | closed | resolved"
)

CONTRADICTIONS: Final[dict[str, Kit]] = {
    "TMF621/CTK-TMF621-TroubleTicket-R18-0": Kit(
        (
            Contradiction(
                ("Create a trouble ticket",), "status = nanana", TICKET_STATUS, shows="until corrected"
            ),
            Contradiction(
                (
                    "Get trouble ticket's filtered field (description) by ID",
                    "Get trouble ticket's by severity and filter by description",
                    "Get trouble ticket's filtered fields (severity,status)  by ID",
                ),
                "nothing but description, or severity and status",
                ALWAYS_RETURNED,
            ),
        ),
        left_without=(
            "List all TroubleTickets",
            "Get trouble ticket by ID",
            "Get trouble ticket by specific Type characteristics",
        ),
        correction=((r'nanana(?=\\",(?:\\[rnt]|\s)*\\"externalId)', "acknowledged"),),
    ),
    "TMF640/CTK-TMF640-ServiceActivation-R18-5": Kit(
        (Contradiction(("Filtered fields",), "nothing but id and state", ALWAYS_RETURNED),),
    ),
    "TMF641/CTK-TMF641-ServiceOrdering": Kit(
        (
            Contradiction(
                ("Creates a ServiceOrder",),
                "orderItem, without serviceOrderItem",
                "ServiceOrder.serviceOrderItem is required",
                shows="until corrected",
            ),
            Contradiction(
                ("Post Error 1", "Post Error 2"),
                "a path of version 3 below the base path",
                "no POST /tmf-api/serviceOrdering/v3/serviceOrder",
            ),
        ),
        left_without=(
            "Retrieves a ServiceOrder by ID",
            "/serviceOrder?category=cloudServiceOrdering",
            '{{ServiceOrderingAPI}}/serviceOrder?priority="1"&category=CloudServiceOrdering',
            "/serviceOrder?externalId=TMFSO741",
            "/serviceOrder/{{IDSO02}}?fields=id,href,state",
            "/serviceOrder/{{IDSO02}}?fields=id,href,state Copy",
            "/serviceOrder?externalId=OrangeBSS748&fields=id,state",
        ),
        correction=((r"\borderItem\b", "serviceOrderItem"),),
    ),
    "TMF645/CTK-TMF645-ServiceQualification": Kit(
        (
            Contradiction(
                (
                    "/serviceQualification",
                    "/serviceQualification/{{IDSQ01}}",
                    "/serviceQualification/{{IDSQ02}}",
                    "/serviceQualification?externalId=SQ101",
                    "/serviceQualification?relatedParty.id=14&relatedParty.role=requester",
                    "/serviceQualification/{{IDSQ01}}?fields=id,state," + QUALIFIED.format("service"),
                    "/serviceQualification/{{IDSQ02}}?fields=serviceQualificationDate",
                    "/serviceQualification?relatedParty.id=15&fields=id,state",
                ),
                "/serviceQualification",
                "no GET /serviceQualification",
            ),
        ),
    ),
    "TMF653/CTK-TMF653-ServiceTest": Kit(
        (
            Contradiction(
                (
                    "/serviceTestSpecification",
                    "/serviceTestSpecification/{{IDTS01}}",
                    "/serviceTestSpecification/{{IDTS02}}",
                    "/serviceTestSpecification?name=tspec2",
                    "/serviceTestSpecification?relatedServiceSpecification.id=rs2",
                    "/serviceTestSpecification/{{IDTS02}}?fields=relatedServiceSpecification,name",
                    "/serviceTestSpecification?name=tspec2&relatedServiceSpecification.id=rs2",
                ),
                "relatedServiceSpecification, one object",
                "ServiceTestSpecification.relatedServiceSpecification is "
                "a list of 1 to any number of ServiceSpecificationRef",
            ),
        ),
        left_without=("/serviceTestSpecification/{{IDTS01}}?fields=name",),
        correction=((r'(\\"relatedServiceSpecification\\": *)(\{[^}]*\})', r"\1[\2]"),),
    ),
    "TMF656/CTK-TMF656-ServiceProblem": Kit(
        (
            Contradiction(
                ("/serviceProblem",),
                "originatorParty without @referredType",
                "RelatedParty.@referredType is required",
            ),
            Contradiction(
                ("/serviceProblem", "/serviceProblem/{{ID}}"),
                "timeRaised and timeChanged, in answers",
                "no ServiceProblem.timeRaised",
            ),
        ),
    ),
    "TMF669/CTK-TMF669-PartyRole": Kit(
        (
            Contradiction(
                (
                    "/PartyRole",
                    "/PartyRole/{{IDPR01}}",
                    "/PartyRole?name={{NAMEPR01}}",
                    "/PartyRole?id={{IDPR01}}",
                ),
                "roleType",
                "no PartyRole.roleType",
            ),
        ),
    ),
    "TMF669/oda-ready-v4.0.0": Kit(
        (Contradiction(("/PartyRole/{{IDPR01}}",), "roleType", "no PartyRole.roleType"),),
    ),
    "TMF673/oda-ready-v4.0.0": Kit(
        (
            Contradiction(
                (
                    "/GeographicAddressValidation",
                    "/GeographicAddressValidation/{{IDGAV01}}",
                    "/GeographicAddressValidation?id={{IDGAV01}}",
                    "/GeographicAddressValidation?provideAlternative={{PROVIDEALTERNATIVEGAV01}}",
                    "/GeographicAddressValidation?validationDate={{VALIDATIONDATEGAV01}}",
                    "/GeographicAddressValidation?validationResult={{VALIDATIONRESULTGAV01}}",
                ),
                "validationResult and validGeographicAddress of what was only just accepted",
                "no GeographicAddressValidation.validationResult is in answers",
            ),
        ),
    ),
    "TMF677/CTK-TMF677-UsageConsumption": Kit(
        (
            Contradiction(
                (
                    "Preparation",
                    "/usageConsumptionReport/ID01",
                    "/usageConsumptionReport/ID02",
                    "/usageConsumptionReport?bucket.id={{BUCKET_IDUC01}}",
                    "/usageConsumptionReport?name={{NAMEUC02}}",
                    "/usageConsumptionReport/ID01fields=id,bucket",
                    "/usageConsumptionReport?bucket.id={{BUCKET_IDUC01}} Copy",
                ),
                "/usageConsumptionReport",
                "no GET /usageConsumptionReport",
            ),
        ),
    ),
    "TMF679/CTK-TMF679-ProductOfferingQualification-R18.0": Kit(
        (
            Contradiction(
                ("Create a ProductOffer", "Filter by expectedQualificationDate"),
                "expectedQualificationDate",
                "no ProductOfferingQualification.expectedQualificationDate",
            ),
            Contradiction(
                (
                    "Get ID1",
                    "Get ID2",
                    "List all ProductOfferingQualification",
                    'Filter by relatedParty.id="14"&relatedParty.role="customer"',
                ),
                "productOfferingQualificationDateTime, in answers",
                "no ProductOfferingQualification.productOfferingQualificationDateTime",
            ),
            Contradiction(
                (
                    "{{ProductOfferingQualificationAPI}}/productOfferingQualification/{{IDPOQ1}}?fields=id, state,"
                    + QUALIFIED.format("productOffering"),
                    '{{ProductOfferingQualificationAPI}}/productOfferingQualification?channel.id="1"&fields=id,state',
                ),
                "nothing but what is named",
                ALWAYS_RETURNED,
            ),
        ),
    ),
}


def excused(kit: str) -> frozenset[str]:
    """Names of the requests of a kit that cannot pass."""
    found = CONTRADICTIONS.get(kit, Kit(()))
    return frozenset((*found.left_without, *_requests(found, "always", "until corrected")))


def excused_once_corrected(kit: str) -> frozenset[str]:
    """The same of a kit that has been corrected."""
    return _requests(CONTRADICTIONS[kit], "always", "once corrected")


def _requests(kit: Kit, *shows: str) -> frozenset[str]:
    return frozenset(name for one in kit.contradictions if one.shows in shows for name in one.requests)
