"""The clients of a marketplace, in a file of its folder; a change is noticed while the marketplace runs.

A file that cannot be read, or has a client that cannot be used, changes nothing: the clients stay as they
were, and the log says why. A client that is no longer in it is one no longer, its tokens included.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from hansa.core.bounded_json import UNREADABLE
from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, HansaError, Refused
from hansa.core.files import file_mark, is_missing, read_file, write_file
from hansa.core.web_addresses import web_address
from hansa.identity.provider.clients.records import ClientRecord, check_client

CLIENTS_MAX: Final = 1000
FILE_SIZE_MAX_BYTES: Final = 4_194_304
LOOK_EVERY_S: Final = 1.0

log = structlog.get_logger("hansa.identity")


class _ClientFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    clients: tuple[ClientRecord, ...] = ()


class ClientRegistry:
    """The clients of a file.

    Args:
        path: Of the file, which need not be there.
        clock: For how often it is looked at.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when the file of the start cannot be used.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._looked_at_s = clock.monotonic()
        self._mark = file_mark(path)
        self._clients = {one.client_id: one for one in read_clients(path)}
        self._problem = ""

    def client(self, client_id: str) -> ClientRecord | None:
        """A client, by its identifier."""
        return self._current().get(client_id)

    async def has_key_origin(self, origin: str) -> bool:
        """Whether a client has its keys at an origin: nothing else is fetched."""
        addresses = (one.jwks_uri for one in self._current().values() if one.jwks_uri)
        return any(web_address(address).origin == origin for address in addresses)

    def _current(self) -> dict[str, ClientRecord]:
        now_s = self._clock.monotonic()
        if now_s - self._looked_at_s >= LOOK_EVERY_S:
            self._looked_at_s = now_s
            mark = file_mark(self._path)
            if mark != self._mark:
                self._adopt(mark)
        return self._clients

    def _adopt(self, mark: tuple[int, int, int] | None) -> None:
        try:
            self._clients = {one.client_id: one for one in read_clients(self._path)}
            self._mark, self._problem = mark, ""
            log.info("clients_adopted", count=len(self._clients))
        except HansaError as error:
            if error.message != self._problem:
                log.error("clients_invalid", reason=error.message)
            self._problem = error.message


def read_clients(path: Path) -> tuple[ClientRecord, ...]:
    """The clients in a file; none when there is no file.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`.
    """
    if is_missing(path):
        return ()
    content = read_file(path)
    try:
        if len(content) > FILE_SIZE_MAX_BYTES:
            raise Refused(Code.INVALID, f"It has more than {FILE_SIZE_MAX_BYTES} bytes.")
        clients = msgspec.json.decode(content, type=_ClientFile).clients
        _check_all(clients)
    except UNREADABLE as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{path} cannot be read: {error}") from error
    except Refused as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{path}: {error.message}") from error
    return clients


def write_clients(path: Path, clients: Iterable[ClientRecord]) -> None:
    """Write the clients into their file.

    Raises:
        Refused: `Code.INVALID`, when one cannot be used.
        Fatal: The file cannot be written.
    """
    every = tuple(sorted(clients, key=lambda one: one.client_id))
    _check_all(every)
    write_file(path, msgspec.json.format(msgspec.json.encode(_ClientFile(every)), indent=2) + b"\n")


def _check_all(clients: tuple[ClientRecord, ...]) -> None:
    if len(clients) > CLIENTS_MAX:
        raise Refused(Code.INVALID, f"There are at most {CLIENTS_MAX} clients.")
    if len({one.client_id for one in clients}) != len(clients):
        raise Refused(Code.INVALID, "Two clients have the same client_id.")
    for one in clients:
        check_client(one)
