"""HTTP to one marketplace: its token, bounded responses, typed errors.

Requests go to the address that the user gave, private networks included, and to no other: redirects are not
followed. The reason in a response is passed on as a quotation of the marketplace.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import msgspec
from yarl import URL

from hansa import __version__
from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.foreign_text import printable
from hansa.core.members import normal_endpoint

TIMEOUT_S: Final = 30.0
RESPONSE_SIZE_MAX_BYTES: Final = 268_435_456
STREAM_LINE_SIZE_MAX_BYTES: Final = 1_048_576
RETRY_AFTER_MAX_S: Final = 30.0

Parameters = Sequence[tuple[str, str]]


class ClientResponse(msgspec.Struct, frozen=True):
    """A whole response; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded; None when it is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except UNREADABLE:
            return None


class ServerSentEvent(msgspec.Struct, frozen=True):
    """One event of a stream."""

    id: str
    name: str
    data: str
    """Empty where the event only moves the position in the stream."""


class StreamLines:
    """Puts the lines of a stream together to server-sent events (HTML Living Standard, section 9.2.6)."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def feed(self, raw: bytes) -> ServerSentEvent | None:
        """The event that ends with a line, if one does; an id alone is one without data."""
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if line:
            self._add(line)
            return None
        fields, self._fields = self._fields, {}
        if not fields.keys() & {"data", "id"}:
            return None
        return ServerSentEvent(fields.get("id", ""), fields.get("event", "message"), fields.get("data", ""))

    def _add(self, line: str) -> None:
        if line.startswith(":"):
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data" and name in self._fields:
            value = f"{self._fields[name]}\n{value}"
        self._fields[name] = value


class MarketplaceConnection:
    """Sends requests to the marketplace at one address. Use it with `async with`.

    Raises:
        Refused: `Code.INVALID`, when the address is not an endpoint.
    """

    def __init__(self, url: str, token: str | None = None, connections_max: int = 32) -> None:
        self.url = normal_endpoint(url if "//" in url else f"http://{url}")
        self._token = token
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"User-Agent": f"hansa/{__version__}"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token.strip()}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections_max),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        parameters: Parameters = (),
        body: bytes | None = None,
        content_type: str = "application/json",
        timeout_s: float = TIMEOUT_S,
    ) -> ClientResponse:
        """Send one request; `path` is sent as it is, without further encoding.

        Raises:
            Unavailable: `Code.UNAVAILABLE`, when there is no response in time.
            Refused: `Code.TOO_LARGE`, when the response is too large.
        """
        assert self._session is not None, "a connection is used with `async with`"
        headers = {"Content-Type": content_type} if body is not None else {}
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(
                    method, self._target(path, parameters), data=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                content = bytearray()
                async for chunk in response.content.iter_any():
                    content += chunk
                    if len(content) > RESPONSE_SIZE_MAX_BYTES:
                        raise Refused(Code.TOO_LARGE, f"The response of {self.url} is too large.")
                return ClientResponse(
                    response.status, {name.lower(): v for name, v in response.headers.items()}, bytes(content)
                )
        except TimeoutError as error:
            raise Unavailable(
                Code.UNAVAILABLE, f"{self.url} did not answer within {timeout_s:g} s."
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self.unreachable() from error

    async def get(self, path: str, parameters: Parameters = ()) -> Any:
        """The JSON document at a path.

        Raises:
            HansaError: when the marketplace cannot be reached, refuses, or does not respond with JSON.
        """
        response = await self.request("GET", path, parameters=parameters)
        if response.status != 200:
            raise self.refusal(response)
        content = response.json()
        if content is None:
            raise self.not_a_marketplace()
        return content

    async def stream(
        self, path: str, parameters: Parameters = (), last_event_id: str | None = None
    ) -> AsyncGenerator[ServerSentEvent]:
        """Server-sent events, until the marketplace ends the stream.

        Raises:
            HansaError: when the marketplace cannot be reached or refuses, or the connection breaks.
        """
        assert self._session is not None, "a connection is used with `async with`"
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        try:
            async with self._session.get(
                self._target(path, parameters),
                headers=headers,
                allow_redirects=False,
                read_bufsize=STREAM_LINE_SIZE_MAX_BYTES,
            ) as response:
                if response.status != 200:
                    body = await response.content.read(65_536)
                    raise self.refusal(ClientResponse(response.status, {}, body))
                lines = StreamLines()
                async for raw in response.content:
                    message = lines.feed(raw)
                    if message is not None:
                        yield message
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self.unreachable() from error

    def unreachable(self) -> Unavailable:
        """The error for an address at which nothing responds."""
        return Unavailable(
            Code.UNAVAILABLE,
            f"{self.url} cannot be reached.",
        )

    def refusal(self, response: ClientResponse) -> HansaError:
        """The error that a response reports."""
        return refusal(response, self.url)

    def not_a_marketplace(self) -> Refused:
        """The error for an address at which something else than a marketplace responds."""
        return Refused(
            Code.INVALID, f"{self.url} responds, but not as a Hansa marketplace does. Is the port right?"
        )

    def _target(self, path: str, parameters: Parameters) -> URL:
        # Only the parameters are encoded here; the path is encoded already.
        url = URL(self.url + path, encoded=True)
        return url.extend_query(list(parameters)) if parameters else url


def reason_of(response: ClientResponse) -> tuple[str, str]:
    """Code and reason of an error response, made printable."""
    content = response.json()
    if not isinstance(content, dict):
        return "", f"status {response.status}"
    code, message = content.get("code"), content.get("message") or content.get("reason")
    return (
        printable(code, 40) if isinstance(code, str) else "",
        printable(message) if isinstance(message, str) else f"status {response.status}",
    )


def retry_after_s(response: ClientResponse) -> float:
    """Seconds that an overloaded marketplace requests as a pause; bounded, 1 by default."""
    text = response.headers.get("retry-after", "1")
    return min(float(text), RETRY_AFTER_MAX_S) if text.isascii() and text.isdigit() else 1.0


def refusal(response: ClientResponse, url: str) -> HansaError:
    """The error that a response reports."""
    code, reason = reason_of(response)
    if response.status == 401:
        return Refused(Code.UNAUTHENTICATED, f"{url} requires a valid token: {reason}")
    if response.status == 403:
        return Refused(Code.FORBIDDEN, f"{url} does not allow this with this token: {reason}")
    if response.status in {429, 503}:
        return Unavailable(Code.UNAVAILABLE, f"{url} cannot do this now: {reason}", retry_after_s(response))
    known = Code(code) if code in set(Code) else Code.INVALID
    return Refused(known, f"{url} responded with status {response.status}: {reason}")
