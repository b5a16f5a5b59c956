"""Trust anchors that change: those of a folder, and those of trusted lists, read again without a restart.

Every `POLL_S` the folders are looked at, and each list that is due is read: a file when it has another
content, an address every `REFRESH_S`. What is valid counts from then on. What is not is reported (`problem`)
and leaves everything as it is:

    a file of anchors/ cannot be used        the authorities before it count
    a list cannot be fetched, or is altered  the list before it counts until the end that it names itself
    a list has a smaller number              likewise: somebody shows an old one
    a list ends                              its authorities count no more
    a signer is taken out of list-signers/   likewise, for the lists that it signed

Lists from addresses are stored in a folder, so that a marketplace that starts while their publishers are down
has them; they are verified again when they are read. A start with anchors that cannot be used is refused; one
without a list goes on without its authorities.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from hansa.core.certificates import Certificate, read_certificate
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.files import file_mark, is_missing, read_file, write_file
from hansa.core.foreign_text import printable
from hansa.core.http import HttpClient, HttpRequest
from hansa.core.trust.certificates import certificates_of_pem
from hansa.identity.credentials.issuers.anchors import anchor_files, read_anchors
from hansa.identity.credentials.times import CLOCK_LEEWAY_S
from hansa.identity.credentials.trusted_lists.content import LIST_SIZE_MAX_BYTES, TrustedList
from hansa.identity.credentials.trusted_lists.json_list import read_json_list
from hansa.identity.credentials.trusted_lists.xml_list import read_xml_list

POLL_S: Final = 5.0
REFRESH_S: Final = 21_600
RETRY_S: Final = 300
FETCH_TIMEOUT_S: Final = 60.0
LISTS_MAX: Final = 40
PROBLEMS_MAX: Final = 4

_ACCEPTED: Final = "application/vnd.etsi.tsl+xml, application/jose, application/xml, text/xml"

log = structlog.get_logger("hansa.identity")


class TrustPaths(msgspec.Struct, frozen=True):
    """Where in a marketplace's folder the sources are."""

    anchors: Path
    signers: Path
    """Certificates with which lists may be signed."""
    lists: Path
    """Copies of lists from addresses."""


class _Source(msgspec.Struct):
    """One trusted list."""

    address: str
    """Of the web, or a path."""
    due_s: int = 0
    mark: tuple[int, int, int] | None = None
    """Of its file, as it was read last."""
    digest: bytes = b""
    """Of the list as it was read last and could be used."""
    content: TrustedList | None = None
    problem: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it is in a file of the operator's."""
        return "://" not in self.address


class TrustSources:
    """Reads trust anchors, again and again. To be used on one event loop.

    Args:
        paths: Of the folders.
        addresses: Of trusted lists: of the web, or paths.
        services: Types of services in lists whose certificates become anchors.
        http: Fetches lists.
        clock: For all times.
    """

    def __init__(
        self,
        paths: TrustPaths,
        addresses: Sequence[str],
        services: Sequence[str],
        http: HttpClient,
        clock: Clock,
    ) -> None:
        assert len(addresses) <= LISTS_MAX, "the number of lists is bounded by the settings"
        self._paths = paths
        self._services = frozenset(services)
        self._http = http
        self._clock = clock
        self._sources = [_Source(one) for one in addresses]
        self._own: tuple[Certificate, ...] = ()
        self._signers: tuple[Certificate, ...] = ()
        self._problems: dict[str, str] = {}
        self._adopt: Callable[[Sequence[Certificate]], None] = lambda _: None
        self._current: tuple[Certificate, ...] = ()
        self._taking = asyncio.Lock()
        """One list is parsed at a time; they are fetched beside one another, and beside the folders."""

    @property
    def own(self) -> tuple[Certificate, ...]:
        """The authorities of the folder that count now."""
        return self._own

    @property
    def problem(self) -> str | None:
        """What cannot be used as it is now; None: everything can."""
        lists = [f"{printable(one.address)}: {one.problem}" for one in self._sources if one.problem]
        return "; ".join([*self._problems.values(), *lists][:PROBLEMS_MAX]) or None

    def load(self) -> None:
        """Read what is in the folder, as at the start.

        Raises:
            Refused: When a file of the folders cannot be used.
            Fatal: When one cannot be read.
        """
        self._own, self._signers = _authorities(self._paths.anchors), _signers(self._paths.signers)
        now_s = epoch_s(self._clock)
        for source in self._sources:
            self._take_from_folder(source, now_s)
        self._settle(now_s)

    def adopt_with(self, adopt: Callable[[Sequence[Certificate]], None]) -> None:
        """Have something told of all authorities that count, now and whenever they change."""
        self._adopt = adopt
        adopt(self._current)

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._again_and_again(self._look_at_folders))
            group.create_task(self._again_and_again(self._look_at_lists))

    async def _again_and_again(self, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            await look()
            self._settle(epoch_s(self._clock))
            await self._clock.sleep(POLL_S)

    async def look(self) -> None:
        """Read what has changed, or is due."""
        await self._look_at_folders()
        await self._look_at_lists()
        self._settle(epoch_s(self._clock))

    async def _look_at_lists(self) -> None:
        now_s = epoch_s(self._clock)
        due = [one for one in self._sources if one.due_s <= now_s or _has_changed(one)]
        await asyncio.gather(*(self._read(one, now_s) for one in due))

    async def _look_at_folders(self) -> None:
        signers = self._signers
        try:
            self._own = await asyncio.to_thread(_authorities, self._paths.anchors)
            self._problems.pop("anchors", None)
        except HansaError as error:
            self._note("anchors", error)
        try:
            self._signers = await asyncio.to_thread(_signers, self._paths.signers)
            self._problems.pop("signers", None)
        except HansaError as error:
            self._note("signers", error)
        if self._signers == signers:
            return
        async with self._taking:
            for source in self._sources:
                source.digest, source.content, source.due_s = b"", None, 0
                await asyncio.to_thread(self._take_from_folder, source, epoch_s(self._clock))

    def _note(self, name: str, error: HansaError) -> None:
        if self._problems.get(name) != error.message:
            log.error("trust_anchors_invalid", reason=error.message)
        self._problems[name] = error.message

    async def _read(self, source: _Source, now_s: int) -> None:
        source.due_s = now_s + RETRY_S
        source.mark = file_mark(Path(source.address)) if source.is_file else None
        try:
            raw = await (self._file(source) if source.is_file else self._fetched(source))
        except HansaError as error:
            self._report(source, f"it cannot be read ({error.code})")
            return
        async with self._taking:
            if hashlib.sha256(raw).digest() == source.digest:
                source.problem, source.due_s = "", now_s + REFRESH_S
            elif await asyncio.to_thread(self._take, source, raw, now_s):
                source.due_s = now_s + REFRESH_S
                if not source.is_file:
                    await asyncio.to_thread(self._store, source, raw)

    def _take_from_folder(self, source: _Source, now_s: int) -> None:
        """Take a list from its file, or from the copy of what was fetched."""
        path = Path(source.address) if source.is_file else self._copy_of(source)
        if is_missing(path):
            source.problem = "it is not there" if source.is_file else "it was not fetched yet"
            return
        try:
            raw = read_file(path)
        except HansaError as error:
            self._report(source, f"it cannot be read ({error.code})")
            return
        self._take(source, raw, now_s)

    async def _file(self, source: _Source) -> bytes:
        path = Path(source.address)
        if await asyncio.to_thread(lambda: path.stat().st_size if path.exists() else 0) > LIST_SIZE_MAX_BYTES:
            raise Refused(Code.TOO_LARGE, f"{path} has more than {LIST_SIZE_MAX_BYTES} bytes.")
        return await asyncio.to_thread(read_file, path)

    async def _fetched(self, source: _Source) -> bytes:
        request = HttpRequest(
            *("GET", source.address, {"accept": _ACCEPTED}),
            timeout_s=FETCH_TIMEOUT_S,
            answer_size_max_bytes=LIST_SIZE_MAX_BYTES,
        )
        response = await self._http.send(request)
        if response.status != 200:
            raise Refused(Code.INVALID, "It answers with another status than 200.")
        return response.body

    def _take(self, source: _Source, raw: bytes, now_s: int) -> bool:
        """Take a list, if it can be used and is not older than the one before it."""
        try:
            content = self._verified(raw, now_s)
        except Refused as error:
            self._report(source, error.message)
            return False
        before = source.content
        if before is not None and content.sequence < before.sequence:
            self._report(source, f"it has the number {content.sequence}, and had {before.sequence}")
            return False
        source.digest, source.content, source.problem = hashlib.sha256(raw).digest(), content, ""
        log.info(
            "trusted_list_adopted",
            address=printable(source.address),
            number=content.sequence,
            authorities=len(content.anchors),
            skipped=content.skipped,
        )
        return True

    def _verified(self, raw: bytes, now_s: int) -> TrustedList:
        signers, services = self._signers, self._services
        if raw.lstrip()[:1] == b"<":
            return read_xml_list(raw, signers, services, now_s)
        return read_json_list(raw.decode("utf-8", "replace").strip(), signers, services, now_s)

    def _report(self, source: _Source, problem: str) -> None:
        problem = printable(problem)
        if source.problem != problem:
            log.error("trusted_list_unusable", address=printable(source.address), reason=problem)
        source.problem = problem

    def _settle(self, now_s: int) -> None:
        """Tell what counts now, without lists that have ended."""
        anchors = {one.raw: one for one in self._own}
        for source in self._sources:
            content = source.content
            if content is not None and content.next_update_s + CLOCK_LEEWAY_S <= now_s:
                source.content, content = None, None
                self._report(source, "it has ended, and its authorities count no more")
            anchors |= {one.raw: one for one in (content.anchors if content is not None else ())}
        current = tuple(anchors.values())
        if current != self._current:
            self._current = current
            self._adopt(current)
            log.info("trust_anchors_adopted", authorities=len(current))

    def _copy_of(self, source: _Source) -> Path:
        return self._paths.lists / f"{hashlib.sha256(source.address.encode()).hexdigest()[:32]}.list"

    def _store(self, source: _Source, raw: bytes) -> None:
        try:
            self._paths.lists.mkdir(mode=0o700, exist_ok=True)
            write_file(self._copy_of(source), raw)
        except (OSError, HansaError) as error:
            log.warning("trusted_list_not_stored", address=printable(source.address), reason=str(error))


def _has_changed(source: _Source) -> bool:
    return source.is_file and file_mark(Path(source.address)) != source.mark


def _authorities(folder: Path) -> tuple[Certificate, ...]:
    return () if is_missing(folder) else read_anchors(folder)


def _signers(folder: Path) -> tuple[Certificate, ...]:
    """Certificates of a folder, which need not be those of authorities.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`, naming the file.
        Fatal: When one cannot be read.
    """
    signers: list[Certificate] = []
    for file in () if is_missing(folder) else anchor_files(folder):
        try:
            signers += map(read_certificate, certificates_of_pem(read_file(file)))
        except Refused as error:
            raise Refused(error.code, f"{file}: {error.message}") from error
    return tuple(signers)
