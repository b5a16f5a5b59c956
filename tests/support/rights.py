"""A business application where people of organisations call, and access policies decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.business import BusinessApp
from hansa.business.models import Models
from hansa.business.models.lifecycles import load_lifecycles
from hansa.core.access import ANONYMOUS, Caller, Power
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.identity.rights.deciding import AccessRights, Record, record_nothing
from hansa.identity.rights.policies import AccessPolicies
from hansa.store import EntityDraft
from tests.support.asgi import AsgiClient, Response
from tests.support.business import CATALOG, MODELS, Business, open_business

ACME: Final = "VATDE-111111111"
BOLT: Final = "VATES-22222222"
CITY: Final = "VATPT-333333333"
OFFERINGS: Final = f"{CATALOG}/productOffering"
ORDERS: Final = "/tmf-api/productOrderingManagement/v4/productOrder"
DRAFT: Final = {"name": "Backup", "lifecycleStatus": "In design"}
LAUNCHED: Final = {"name": "Backup", "lifecycleStatus": "Launched"}
ORDER: Final = {
    "productOrderItem": [
        {"id": "1", "action": "add", "productOffering": {"id": "urn:ngsi-ld:product-offering:x"}}
    ]
}
MERGE: Final = {"content-type": "application/merge-patch+json"}
ALL_POWERS: Final = (
    Power("DOME", "ProductOffering", ("Create", "Delete", "Update")),
    Power("DOME", "ProductOrder", ("Create", "Update")),
    Power("DOME", "Onboarding", ("Execute",)),
)
CALLERS: Final[Mapping[str, Caller]] = {
    "stranger": ANONYMOUS,
    "reader": Caller("r", frozenset({"reader"})),
    "provider": Caller("p", frozenset({"provider"})),
    "operator": Caller("o", frozenset({"operator"})),
    "acme": Caller("a", frozenset({"provider"}), organization=ACME, powers=ALL_POWERS),
    "acme-clerk": Caller("c", organization=ACME),
    "acme-machine": Caller("m", organization=ACME, powers=ALL_POWERS[:1], is_machine=True),
    "bolt": Caller("b", frozenset({"provider"}), organization=BOLT, powers=ALL_POWERS),
    "city": Caller("k", organization=CITY, powers=ALL_POWERS[1:2]),
    "boss": Caller("x", frozenset({"operator"}), organization=CITY),
}


def party(organization: str, role: str = "Owner", **more: Any) -> dict[str, Any]:
    """A related party."""
    return {"id": f"did:elsi:{organization}", "role": role, "@referredType": "Organization", **more}


class RightsBusiness:
    """An application with access policies, and a client for each caller."""

    def __init__(self, business: Business, texts: Mapping[str, str], record: Record) -> None:
        self.business = business
        self.store = business.store
        self.rights = AccessRights(AccessPolicies(texts, ManualClock()), business.clock, record)

        def authenticate(headers: Mapping[bytes, bytes]) -> Caller:
            name = headers.get(b"authorization", b"stranger").decode()
            if name not in self.callers:
                raise Refused(Code.UNAUTHENTICATED, "Nobody is called so.")
            return self.callers[name]

        self.removed: set[str | None] = set()
        """Organisations, people and credentials that are kept out."""
        self.callers = dict(CALLERS)
        self.context = msgspec.structs.replace(
            business.context,
            authorize=self.rights,
            authenticate=authenticate,
            has_removed=lambda one: (
                not self.removed.isdisjoint({one.subject, one.organization, one.credential_id})
            ),
        )
        self.app = BusinessApp(self.context)
        self._stranger = AsgiClient(self.app)

    def as_(self, name: str) -> AsgiClient:
        """The client of one of `CALLERS`."""
        return self._stranger if name == "stranger" else self._stranger.with_headers(authorization=name)

    async def created(self, name: str, target: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What a caller creates, which must be allowed."""
        response = await self.as_(name).request("POST", target, dict(body))
        assert response.status == 201, response.body
        fields: dict[str, Any] = response.json()
        return fields

    async def patched(
        self, name: str, target: str, patch: Any, headers: Mapping[str, str] = MERGE
    ) -> Response:
        """The answer to a caller's patch."""
        return await self.as_(name).request("PATCH", target, patch, headers=headers)

    def adopt(self, texts: Mapping[str, str]) -> None:
        """Decide by other policies from now on."""
        self.rights.adopt(AccessPolicies(texts, ManualClock()))

    async def put(self, *drafts: EntityDraft) -> None:
        """Put entities into the store as they are."""
        async with self.store.transaction() as tx:
            for one in drafts:
                await tx.put(one)


async def open_rights(
    texts: Mapping[str, str] | None = None,
    record: Record = record_nothing,
    *,
    models: Models = MODELS,
    limits: Limits | None = None,
) -> RightsBusiness:
    """An application in memory, with policies of the operator beside the shipped ones."""
    return RightsBusiness(await open_business(models=models, limits=limits), texts or {}, record)


def few_models(*apis: str) -> Models:
    """The models of some APIs, which take less time to serve than all."""
    return Models(tuple(one for one in MODELS.apis if one.id in apis), load_lifecycles())


def code_of(response: Response) -> str:
    """The code of a refusal."""
    return str(response.json()["code"])
