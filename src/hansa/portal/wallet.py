"""The pages of the development wallet. They work without scripts, and say what they are for."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.core.http import NO_STORE
from hansa.identity.wallet import CredentialSummary, VerifierRequest
from hansa.portal.frame import Frame
from hansa.portal.frame.frame import PagePolicy


class ShownPerson(Protocol):
    """Somebody whose wallet is shown."""

    @property
    def name(self) -> str:
        """Of the folder."""

    @property
    def credentials(self) -> tuple[CredentialSummary, ...]:
        """Oldest first."""

    @property
    def is_able(self) -> bool:
        """Whether one of them answers the request."""

    @property
    def disclosed(self) -> tuple[str, ...]:
        """What the verifier would see that could be withheld."""


class ShownWallet(Protocol):
    """What is shown."""

    @property
    def people(self) -> tuple[ShownPerson, ...]:
        """Whose wallets are here."""

    @property
    def request(self) -> VerifierRequest | None:
        """That is to be answered."""

    @property
    def link(self) -> dict[str, str]:
        """Parameters of its link."""

    @property
    def problem(self) -> str:
        """Why it is not answered."""


class WalletRow(msgspec.Struct, frozen=True):
    """A person, as the page has it."""

    name: str
    credentials: tuple[CredentialSummary, ...]
    is_able: bool
    disclosed: str


class WalletPage(msgspec.Struct, frozen=True):
    """For the template `wallet/wallet.html`."""

    people: tuple[WalletRow, ...]
    host: str
    """Who asks; empty: nobody."""
    link: dict[str, str]
    problem: str
    is_presented: bool = False


class WalletPages:
    """Renders them."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def wallet(self, request: Request, view: ShownWallet, status: int) -> Response:
        """The people, and the request."""
        demand = view.request
        rows = tuple(
            WalletRow(one.name, one.credentials, one.is_able, ", ".join(one.disclosed)) for one in view.people
        )
        page = WalletPage(rows, demand.host if demand is not None else "", view.link, view.problem)
        policy = PagePolicy() if demand is None else PagePolicy((_origin(demand.response_uri),))
        return self._frame.response(
            request, "wallet/wallet.html", page, status=status, headers=NO_STORE, policy=policy
        )

    def presented(self, request: Request) -> Response:
        """That it was presented."""
        page = WalletPage((), "", {}, "", is_presented=True)
        return self._frame.response(request, "wallet/wallet.html", page, headers=NO_STORE)


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
