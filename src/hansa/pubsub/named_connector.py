"""A client of a unix socket whose connections have names of their own.

CometBFT tells the subscribers of its events apart by their remote address. Clients of a unix socket have none
unless they ask for one: without it all of them are one subscriber to CometBFT, the second subscription is
refused, and the end of any connection silently ends everybody's.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.client_exceptions import UnixClientConnectorError


class NamedUnixConnector(aiohttp.UnixConnector):
    """Lets the system choose a name for each connection (unix(7), autobind), where the system does that."""

    async def _create_connection(self, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        if sys.platform != "linux":
            return await super()._create_connection(req, traces, timeout)
        loop = asyncio.get_running_loop()
        factory: Callable[[], asyncio.Protocol] = self._factory
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.bind("")
            async with asyncio.timeout(timeout.sock_connect):
                await loop.sock_connect(connection, self.path)
                _, protocol = await loop.create_unix_connection(factory, sock=connection)
        except OSError as error:
            connection.close()
            raise UnixClientConnectorError(self.path, req.connection_key, error) from error
        except BaseException:
            connection.close()
            raise
        return protocol
