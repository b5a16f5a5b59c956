"""The people of a demo, each with credentials in a wallet: two who offer, one who buys, and who operates it.

They get them as everybody else does: the first member offers, and the development wallet accepts. Whoever has
a wallet in the folder already keeps it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import msgspec

from hansa.cli.client import Client
from hansa.cli.demo.members import DemoMember
from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal
from hansa.core.identifiers import Entropy
from hansa.identity.issuing import MandateOrder, OrderedPower
from hansa.identity.wallet import OfferAcceptance, WalletFolder, read_offer
from hansa.node.folder import ISSUING
from hansa.node.folder.demo_league import OPERATOR_ORGANIZATION, WALLETS
from hansa.node.outbound import OutboundClient

OFFERS_PATH: Final = "/oid4vci/offers"
OFFER_LIFE_S: Final = 300

_CATALOGUE: Final = ("ProductOffering", "ProductSpecification", "Category", "Catalog", "ProductOfferingPrice")
_ONBOARDING: Final = OrderedPower("Onboarding", ("Execute",))
_PROVIDER: Final = (
    _ONBOARDING,
    *(OrderedPower(one, ("Create", "Update", "Delete")) for one in _CATALOGUE),
    OrderedPower("ProductOrder", ("Update",)),
)
_ORDERING: Final = (_ONBOARDING, OrderedPower("ProductOrder", ("Create", "Update")))
PEOPLE: Final = {
    "ana": MandateOrder(
        "employee",
        *("VATES-12345678", "GoodAir", "ES", _PROVIDER),
        *("Ana Prueba", "ana@goodair.example"),
    ),
    "nils": MandateOrder(
        "employee",
        *("VATSE-556000000001", "Nordic Data", "SE", _PROVIDER),
        *("Nils Prov", "nils@nordic-data.example"),
    ),
    "carla": MandateOrder(
        "employee",
        *("VATIT-01234567890", "Officine Carla", "IT", _ORDERING),
        *("Carla Esempio", "carla@officine.example"),
    ),
    "otto": MandateOrder(
        "employee",
        *(OPERATOR_ORGANIZATION, "Hansekontor", "DE", (_ONBOARDING,)),
        *("Otto Muster", "otto@hansekontor.example"),
    ),
}
"""By the names of their wallets."""


async def make_identities(folder: Path, issuer: DemoMember, clock: Clock, entropy: Entropy) -> Path | None:
    """Have credentials issued to everybody who has none.

    Args:
        folder: Of the league.
        issuer: The member that issues.
        clock: For all times.
        entropy: For names.

    Returns:
        The folder with the wallets; None where the league was made without an issuer.

    Raises:
        HansaError: When a credential is not issued.
    """
    if not (issuer.folder / ISSUING).is_dir():
        return None
    wallets = folder / WALLETS
    absent = [name for name in PEOPLE if not WalletFolder(wallets / name).credentials()]
    if not absent:
        return wallets
    origin = issuer.url

    async def is_issuer(requested: str) -> bool:
        return requested.startswith(origin)

    http = OutboundClient(is_issuer, allow_private_networks=True)
    try:
        async with Client(issuer.url, issuer.token) as client:
            await asyncio.gather(
                *(
                    _issue(client, WalletFolder(wallets / name), PEOPLE[name], http, clock, entropy)
                    for name in absent
                )
            )
    finally:
        await http.close()
    return wallets


async def _issue(
    client: Client,
    wallet: WalletFolder,
    order: MandateOrder,
    http: OutboundClient,
    clock: Clock,
    entropy: Entropy,
) -> None:
    body = msgspec.json.encode({"order": order, "expires_in_s": OFFER_LIFE_S})
    response = await client.request("POST", OFFERS_PATH, body=body)
    if response.status != 201:
        raise client.refusal(response)
    report: Any = response.json()
    offer = await read_offer(report["url"], http)
    added = await OfferAcceptance(wallet, http, clock, entropy).accept(offer, report["tx_code"])
    if not added:
        raise Fatal(Code.INVALID, f"{order.name} was issued nothing.")
