"""What an operator orders of the issuer: each order is a request to the marketplace, which has the store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, get_args
from urllib.parse import quote

import msgspec

from hansa.cli.client import Client
from hansa.cli.durations import seconds_of
from hansa.cli.output import Output
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused
from hansa.core.files import read_file
from hansa.identity.issuing import AUTHORITY_CERTIFICATE, CredentialForm, MandateOrder, power_of
from hansa.node.folder import ISSUING, TOKEN
from hansa.node.settings.loading import load_settings

OFFERS_PATH: Final = "/oid4vci/offers"
CREDENTIALS_PATH: Final = "/oid4vci/credentials"
_STATUS: Final = {"revoke": "revoked", "suspend": "suspended", "resume": "valid"}
_FORMS: Final[tuple[CredentialForm, ...]] = get_args(CredentialForm)


def ordered(
    kind: str,
    organization: str,
    organization_name: str,
    country: str,
    name: str,
    email: str,
    domain: str,
    powers: Sequence[str],
    forms: Sequence[str],
    valid: str,
) -> MandateOrder:
    """The order that the options of the command line are.

    Raises:
        Refused: `Code.INVALID`.
    """
    unknown = [form for form in forms if form not in _FORMS]
    if unknown:
        raise Refused(Code.INVALID, f"{unknown[0]!r} is none of the formats {' and '.join(_FORMS)}.")
    prefix = organization.partition("-")[0]
    return MandateOrder(
        kind="employee" if kind == "employee" else "machine",
        organization=organization,
        organization_name=organization_name or organization,
        country=country or prefix[-2:],
        powers=tuple(map(power_of, powers)),
        name=name,
        email=email,
        domain=domain,
        life_s=int(seconds_of(valid)),
        forms=tuple(form for form in _FORMS if form in forms) or _FORMS,
    )


class IssuingOrders:
    """Orders of the operator of a marketplace that runs.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when the folder is not that of one.
        Refused: `Code.INVALID`, when it does not issue.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        settings = load_settings(folder, {})
        if not settings.issuing:
            raise Refused(
                Code.INVALID,
                f"This marketplace does not issue: write issuing = true into {folder / 'hansa.toml'}, and start it "
                "again. It is for development.",
            )
        remedy = f"Make one: hansa token {folder} --subject me --role operator > {folder / TOKEN}"
        self._folder = folder
        self._url = settings.endpoint
        self._token = read_file(folder / TOKEN, remedy).decode("ascii", errors="replace").strip()
        self._clock = clock

    def offer(self, order: MandateOrder, expires: str, output: Output) -> None:
        """Offer a credential, and show the offer."""
        content = {"order": order, "expires_in_s": int(seconds_of(expires))}
        offer = self._request("POST", OFFERS_PATH, content)
        if output.as_json:
            output.document(offer)
            return
        output.facts(
            {
                "for": f"{order.name}, {order.organization_name}",
                "offer": offer["url"],
                "transaction code": offer["tx_code"],
                "waits until": offer["expires"],
                "id": offer["id"],
            }
        )
        output.message("Give the transaction code to the person on another way than the offer.")

    def list_offers(self, output: Output) -> None:
        """Show the offers that wait."""
        offers = self._request("GET", OFFERS_PATH)
        if output.as_json:
            output.document(offers)
            return
        rows = [
            [str(one[name]) for name in ("id", "holder", "organization", "state", "expires")]
            for one in offers
        ]
        output.table(("id", "for", "organization", "state", "ends"), rows)

    def list_credentials(self, output: Output) -> None:
        """Show what was issued, newest first."""
        credentials: list[Any] = []
        while True:
            page = self._request("GET", f"{CREDENTIALS_PATH}?offset={len(credentials)}")
            credentials += page
            if not page:
                break
        if output.as_json:
            output.document(credentials)
            return
        names = ("id", "holder", "organization", "configuration", "status", "expires")
        rows = [[str(one[name]) for name in names] for one in credentials]
        output.table(("id", "holder", "organization", "kind", "status", "ends"), rows)

    def show_anchor(self, output: Output) -> None:
        """Show where the certificate of the authority is."""
        path = self._folder / ISSUING / AUTHORITY_CERTIFICATE
        read_file(path, "It is made when the marketplace is served.")
        output.document({"anchor": str(path)}) if output.as_json else output.data(str(path))

    def withdraw(self, id: str | None, output: Output) -> None:
        """End an offer."""
        self._request("DELETE", f"{OFFERS_PATH}/{_named(id)}")
        output.document({"withdrawn": id}) if output.as_json else output.message("The offer has ended.")

    def set_status(self, id: str | None, action: str, output: Output) -> None:
        """Revoke or suspend a credential, or end a suspension."""
        path = f"{CREDENTIALS_PATH}/{_named(id)}/status"
        credential = self._request("PUT", path, {"status": _STATUS[action]})
        if output.as_json:
            output.document(credential)
        else:
            output.message(f"The credential of {credential['holder']} is {credential['status']}.")

    def _request(self, method: str, path: str, content: Any = None) -> Any:
        async def request() -> Any:
            async with Client(self._url, self._token) as client:
                body = None if content is None else msgspec.json.encode(content)
                response = await client.request(method, path, body=body)
                if response.status >= 300:
                    raise client.refusal(response)
                return response.json() if response.body else None

        return asyncio.run(request())


def _named(id: str | None) -> str:
    if not id:
        raise Refused(
            Code.INVALID, "Name an ID, as `hansa issue D list` and `hansa issue D offers` show them."
        )
    return quote(id, safe="")
