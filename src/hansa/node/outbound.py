"""The `HttpClient` of this marketplace: everything it sends to the outside goes through here.

Other members and hub listeners choose the addresses that they name, so these are not trusted. A request goes
only to an origin (scheme, host, port) that is registered, and only to an address that is public, unless
private networks are allowed. The address that was checked is the one that is connected to: the connector
resolves names, once for each connection, without a cache that could change in between. No redirects, no
cookies, no proxies of the environment, no decompression. The whole exchange has one time limit; the response
has a size limit, enforced while it arrives. What the other side writes in an error is never passed on.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.web_addresses import is_allowed_address, web_address

CONNECTIONS_MAX: Final = 128
CONNECTIONS_PER_HOST_MAX: Final = 16
KEEPALIVE_S: Final = 30.0
HEADER_SIZE_MAX_BYTES: Final = 8190
CHUNK_SIZE_BYTES: Final = 65_536
LOOKUPS_MAX: Final = 32
"""Names that a client looks up at a time, those included that nobody waits for any more."""

Addresses = list[tuple[int, int, int, str, tuple[str | int | bytes, ...]]]
"""As `socket.getaddrinfo` gives them."""


class SystemResolver(AbstractResolver):
    """Resolves names as the system does, and holds nobody up.

    The system cannot be told to stop looking up a name, and takes ten seconds where no name server answers.
    The threads of an event loop have to end before the loop does, so that a marketplace could not stop
    meanwhile; those in here end with the process.
    """

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(LOOKUPS_MAX)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`; raises `OSError` when there is none."""
        await self._free.acquire()
        result = asyncio.get_running_loop().create_future()
        look_up = partial(
            socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        arguments = look_up, result
        try:
            threading.Thread(target=self._look_up, args=arguments, name="name-lookup", daemon=True).start()
        except BaseException:
            self._free.release()
            raise
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in await result
        ]

    def _look_up(self, look_up: Callable[[], Addresses], result: asyncio.Future[Addresses]) -> None:
        """Look a name up, in a thread."""
        addresses, problem = Addresses(), None
        try:
            addresses = look_up()
        except Exception as error:  # noqa: BLE001 - whoever waits has to learn of it, whatever it is
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            result.get_loop().call_soon_threadsafe(self._settle, result, addresses, problem)

    def _settle(
        self, result: asyncio.Future[Addresses], addresses: Addresses, problem: Exception | None
    ) -> None:
        self._free.release()
        if result.done():
            return  # nobody waits for it any more
        if problem is None:
            result.set_result(addresses)
        else:
            result.set_exception(problem)

    async def close(self) -> None:
        """Nothing is to be closed."""


class CheckedResolver(AbstractResolver):
    """Resolves a name to those of its addresses that are allowed."""

    def __init__(self, resolver: AbstractResolver, allow_private_networks: bool) -> None:
        self._resolver = resolver
        self._allow_private_networks = allow_private_networks

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The allowed addresses of `host`; raises `_AddressRefusedError` when none of several is."""
        results = await self._resolver.resolve(host, port, family)
        allowed = [
            result
            for result in results
            if is_allowed_address(
                ipaddress.ip_address(result["host"].partition("%")[0]), self._allow_private_networks
            )
        ]
        if results and not allowed:
            raise _AddressRefusedError
        return allowed

    async def close(self) -> None:
        """Close the resolver that is wrapped."""
        await self._resolver.close()


class _AddressRefusedError(Exception):
    """A name has only addresses that are not allowed."""


class OutboundClient:
    """The `HttpClient` on aiohttp. To be used on one event loop, and closed.

    Args:
        is_registered: Whether requests may go to an origin (`WebAddress.origin`).
        allow_private_networks: Whether private and loopback addresses may be connected to.
        resolver: Of host names; by default the system's.
    """

    def __init__(
        self,
        is_registered: Callable[[str], Awaitable[bool]],
        *,
        allow_private_networks: bool,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._is_registered = is_registered
        self._allow_private_networks = allow_private_networks
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send and wait for the whole answer. See `hansa.core.http.HttpClient`."""
        address = web_address(request.url, allow_private_networks=self._allow_private_networks)
        if not await self._is_registered(address.origin):
            raise _not_allowed("the host is neither a member's nor a listener's")
        try:
            async with asyncio.timeout(request.timeout_s):
                return await self._exchange(request)
        except HansaError:
            raise
        except TimeoutError as error:
            raise Unavailable(Code.RETRIEVAL_TIMEOUT, "The other side did not answer in time.") from error
        except _AddressRefusedError as error:
            raise _not_allowed("the host's address is not a public one") from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise _not_allowed("it is not a web address") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "The other side cannot be reached.") from error

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(self, request: HttpRequest) -> HttpResponse:
        async with self._open().request(
            request.method,
            URL(request.url, encoded=True),
            headers={"Accept-Encoding": "identity", **request.headers},
            data=request.body or None,
            allow_redirects=False,
        ) as response:
            declared = response.content_length
            if declared is not None and declared > request.answer_size_max_bytes and request.method != "HEAD":
                raise _too_large(request)
            body = bytearray()
            async for chunk in response.content.iter_chunked(CHUNK_SIZE_BYTES):
                body += chunk
                if len(body) > request.answer_size_max_bytes:
                    response.close()
                    raise _too_large(request)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpResponse(status=response.status, headers=headers, body=bytes(body))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=CheckedResolver(self._resolver or SystemResolver(), self._allow_private_networks),
                use_dns_cache=False,
                limit=CONNECTIONS_MAX,
                limit_per_host=CONNECTIONS_PER_HOST_MAX,
                keepalive_timeout=KEEPALIVE_S,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                max_line_size=HEADER_SIZE_MAX_BYTES,
                max_field_size=HEADER_SIZE_MAX_BYTES,
                headers={"User-Agent": "hansa"},
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session


def _not_allowed(what: str) -> Refused:
    return Refused(Code.HOST_NOT_ALLOWED, f"A request to this address is not allowed: {what}.")


def _too_large(request: HttpRequest) -> Refused:
    return Refused(
        Code.RETRIEVAL_TOO_LARGE, f"The answer is larger than {request.answer_size_max_bytes} bytes."
    )
