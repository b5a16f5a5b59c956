"""The commands' HTTP client: a connection to a marketplace, whose errors say what to do on a command line."""

from __future__ import annotations

from hansa.client.connection import (
    ClientResponse,
    MarketplaceConnection,
    Parameters,
    reason_of,
    retry_after_s,
)
from hansa.client.connection import refusal as reported_error
from hansa.core.errors import Code, HansaError, Refused, Unavailable

__all__ = ["Client", "ClientResponse", "Parameters", "reason_of", "refusal", "retry_after_s"]


class Client(MarketplaceConnection):
    """Sends requests to the marketplace at one address. Use it with `async with`."""

    def unreachable(self) -> Unavailable:
        """The error for an address at which nothing responds."""
        return Unavailable(
            Code.UNAVAILABLE,
            f"{self.url} cannot be reached. Is the marketplace running? Start it with: hansa serve D "
            "(or a whole league with: hansa demo)",
        )

    def refusal(self, response: ClientResponse) -> HansaError:
        """The error that a response reports."""
        return refusal(response, self.url)


def refusal(response: ClientResponse, url: str) -> HansaError:
    """The error that a response reports."""
    if response.status == 401:
        _, reason = reason_of(response)
        return Refused(
            Code.UNAUTHENTICATED,
            f"{url} requires a valid token ({reason}). Give one with --token or HANSA_TOKEN: "
            "hansa token D --subject NAME makes one, and a demo keeps one in league/NAME/token.",
        )
    return reported_error(response, url)
