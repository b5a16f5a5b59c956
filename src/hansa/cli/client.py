"""The commands' HTTP client: a connection to a marketplace, whose errors say what to do on a command line."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from hansa.client.connection import (
    ClientResponse,
    MarketplaceConnection,
    Parameters,
    reason_of,
    retry_after_s,
)
from hansa.client.connection import refusal as reported_error
from hansa.core.bounded_json import UNREADABLE
from hansa.core.clock import Clock, SystemClock
from hansa.core.errors import Code, HansaError, Refused, Unavailable

__all__ = [
    "Client",
    "ClientResponse",
    "Parameters",
    "PatientClient",
    "PatientReads",
    "post_part",
    "reason_of",
    "refusal",
    "retry_after_s",
]

PATIENCE_S: Final = 15.0
"""So long a read is repeated that a marketplace postpones: its engine has started again by then."""
POSTPONED: Final = frozenset({429, 503})
PART_ATTEMPTS: Final = 8
PART_RETRY_S: Final = 1.0
PART_TIMEOUT_S: Final = 300.0
"""A part may wait for every member that does not answer."""

T = TypeVar("T")


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


class PatientReads(MarketplaceConnection):
    """Repeats a GET that is answered 429 or 503 with a `Retry-After`, for 15 s in all.

    Source: RFC 9110, section 10.2.3.
    """

    clock: Clock = SystemClock()
    """Waits for the pauses that a marketplace requests."""

    async def request(self, method: str, path: str, **options: Any) -> ClientResponse:
        """See `MarketplaceConnection.request`; the last answer, when all of them postpone the request."""
        deadline_s = self.clock.monotonic() + PATIENCE_S
        while True:
            response = await super().request(method, path, **options)
            if method != "GET" or response.status not in POSTPONED or "retry-after" not in response.headers:
                return response
            pause_s = retry_after_s(response)
            if self.clock.monotonic() + pause_s > deadline_s:
                return response
            await self.clock.sleep(pause_s)


class PatientClient(PatientReads, Client):
    """The client of commands that read a lot: a marketplace that is busy for a moment ends none of them."""


async def post_part(client: Client, path: str, content: Any, answer: type[T], clock: Clock) -> T:
    """One part of long work, asked for again while the marketplace is busy or its ledger does not answer.

    Args:
        client: Of the marketplace.
        path: Takes a POST that may be repeated.
        content: Of the request, as JSON.
        answer: Type of what status 200 brings.
        clock: Waits.

    Raises:
        HansaError: when the marketplace cannot be reached for longer, or refuses.
    """
    body = msgspec.json.encode(content)
    for attempt in range(1, PART_ATTEMPTS + 1):
        try:
            response = await client.request("POST", path, body=body, timeout_s=PART_TIMEOUT_S)
            if response.status != 200:
                raise refusal(response, client.url)
            return msgspec.json.decode(response.body, type=answer)
        except Unavailable as error:
            if attempt == PART_ATTEMPTS:
                raise
            await clock.sleep(max(PART_RETRY_S, error.retry_after_s))
        except UNREADABLE as error:
            raise client.not_a_marketplace() from error
    raise AssertionError("the last attempt returns or raises")


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
