"""The pages of those who offer something, where access policies decide, without a ledger."""

from __future__ import annotations

from functools import cache
from typing import Any, Final
from urllib.parse import quote

from hansa.business.models import Models
from hansa.business.models.lifecycles import load_lifecycles
from hansa.business.visibility import PublicParts
from hansa.core.access import Caller, Power
from hansa.node.http.application import rest_application
from hansa.node.parts.pages.acts import StoredActs
from hansa.node.parts.pages.offers.orders import StoredSellerOrders
from hansa.node.parts.pages.offers.own import StoredOwnCatalogue
from hansa.portal import Branding, Frame, error_page
from hansa.portal.frame.people import Person
from hansa.portal.providers.offers.elsewhere.sights import LeagueSights
from hansa.portal.providers.offers.routes import OfferPages
from hansa.replication.conditions.policy import DistributionPolicy
from tests.support.asgi import AsgiClient, Response
from tests.support.business import DID, MODELS
from tests.support.people import CSRF, PERSON_HEADER, RecordedPeople
from tests.support.recorded_offers import RecordedSights
from tests.support.rights import ACME, CALLERS, CITY, OFFERINGS, ORDERS, RightsBusiness, open_rights, party

HTML: Final = {"accept": "text/html"}
JSON: Final = {"accept": "application/json"}


def person_of(name: str, caller: Caller) -> Person:
    """A caller, as pages show whoever is logged in."""
    organization = caller.organization or ""
    roles = caller.roles
    return Person(name, organization, organization, "provider" in roles, "operator" in roles, CSRF)


KNOWN: Final = {
    **CALLERS,
    "acme-writer": Caller(
        *("w", frozenset({"provider"})),
        organization=ACME,
        powers=(Power("DOME", "ProductOffering", ("Create",)),),
    ),
}
PEOPLE: Final = RecordedPeople(
    {name: (person_of(name, caller), caller) for name, caller in KNOWN.items() if caller.is_authenticated}
)
NEEDS: Final = '[closure]\nProductOffering = ["productSpecification", "productOfferingPrice"]\n'
APIS: Final = ("TMF620", "TMF622", "TMF632", "TMF633", "TMF634")


class Offers:
    """The pages, and the APIs of the same store."""

    def __init__(self, business: RightsBusiness, sights: LeagueSights | None = None) -> None:
        self.business = business
        self.frame = Frame(Branding("Lübeck Market"), people=PEOPLE)
        context = business.context
        self.policy = DistributionPolicy(DID, MODELS.catalogue_types, PublicParts(MODELS))
        operations = tuple(business.app.operations.values())
        self.sights = sights or RecordedSights()
        pages = OfferPages(
            self.frame,
            PEOPLE,
            StoredOwnCatalogue(operations, context, self.policy, lambda did: did or "lubeck"),
            StoredSellerOrders(operations, context),
            self.sights,
            StoredActs(context.store),
            context.entropy,
        )
        self.routes = pages.routes()
        frame = self.frame
        self._client = AsgiClient(
            rest_application(self.routes, lambda request, error: error_page(frame, request, error))
        )

    def as_(self, name: str) -> AsgiClient:
        """The browser of somebody; `stranger` is not logged in."""
        return self._client if name == "stranger" else self._client.with_headers(**{PERSON_HEADER: name})

    async def shown(self, name: str, path: str) -> str:
        """What somebody sees at a path."""
        response = await self.as_(name).get(path, headers=HTML)
        assert response.status == 200, response.body
        return response.body.decode()

    async def data(self, name: str, path: str) -> Any:
        """The data of a page."""
        response = await self.as_(name).get(path, headers=JSON)
        assert response.status == 200, response.body
        return response.json()

    async def sent(self, name: str, path: str, *fields: tuple[str, str], csrf: str = CSRF) -> Response:
        """What comes of a form."""
        return await self.as_(name).post_form(path, [("csrf", csrf), *fields], HTML)

    async def changed(self, name: str, action: str, *entities: dict[str, Any]) -> Any:
        """What came of changing entities, as the pages do it: asked for, confirmed, done."""
        picks = "&".join(f"pick={quote(one['id'])}" for one in entities)
        requested = await self.data(name, f"/provider/catalogue/confirm?action={action}&{picks}")
        items = [(one["entity"]["id"], one["entity"]["version"]) for one in requested["items"]]
        fields = [("item", f"{version} {entity_id}") for entity_id, version in items]
        response = await self.sent(name, "/provider/catalogue/apply", ("action", action), *fields)
        assert response.status == 303, response.body
        return await self.data(name, response.headers["location"])


async def open_offers() -> Offers:
    """The pages on a store in memory."""
    return Offers(await open_rights(models=_models()))


@cache
def _models() -> Models:
    """The models of the APIs that the pages need, with what their references lead to."""
    return Models(tuple(one for one in MODELS.apis if one.id in APIS), load_lifecycles(), NEEDS)


async def offered(offers: Offers, name: str = "Cloud", **more: Any) -> dict[str, Any]:
    """A draft of acme."""
    return await offers.business.created(
        "acme", OFFERINGS, {"name": name, "lifecycleStatus": "Active", **more}
    )


async def ordered(offers: Offers, seller: str = ACME) -> dict[str, Any]:
    """An order of city."""
    body = {
        "relatedParty": [party(CITY, "Buyer", name="City Works"), party(seller, "Seller")],
        "productOrderItem": [
            {"id": "1", "action": "add", "quantity": 3, "productOffering": {"id": "urn:x:1", "name": "Cloud"}}
        ],
    }
    return await offers.business.created("operator", ORDERS, body)


def page_of(entity: dict[str, Any]) -> str:
    """Where an own entity is."""
    return f"/provider/entities/{entity['id']}"
