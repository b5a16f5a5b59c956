"""Trust anchors that change while the marketplace runs: what cannot be used leaves what counted before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from hansa.core.certificates import Certificate
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, HansaError, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.identity.credentials.trusted_lists.sources import (
    POLL_S,
    REFRESH_S,
    RETRY_S,
    TrustPaths,
    TrustSources,
)
from tests.support.certificates import NOW, Issued, authority
from tests.support.conditions import until
from tests.support.credentials import DAY_S, NOW_S, ROOT, Verifying, bound, sd_jwt, seal
from tests.support.trusted_lists import OPERATOR, QUALIFIED, json_list, service, xml_list

URL = "https://lists.example/tsl.xml"
OTHER = authority("Another CA")


class Publisher:
    """The `HttpClient` of a publisher of lists."""

    def __init__(self) -> None:
        self.page: bytes | None = None
        self.requests: list[HttpRequest] = []
        self.released: asyncio.Event | None = None
        """Until when it does not answer; None: it does at once."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        if self.released is not None:
            await self.released.wait()
        if self.page is None:
            raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "The other side cannot be reached.")
        return HttpResponse(200, {}, self.page)


class Watched:
    """Sources of a folder, and what they said last."""

    def __init__(self, folder: Path, *addresses: str) -> None:
        self.folder = folder
        for name in ("anchors", "list-signers"):
            (folder / name).mkdir(exist_ok=True)
        self.publisher, self.clock = Publisher(), ManualClock(NOW)
        self.addresses = addresses
        self.told: set[bytes] = set()
        self.sources = self.anew()

    def anew(self) -> TrustSources:
        """The sources, as after a restart."""
        paths = TrustPaths(*(self.folder / name for name in ("anchors", "list-signers", "trusted-lists")))
        self.sources = TrustSources(paths, self.addresses, [QUALIFIED], self.publisher, self.clock)
        self.sources.load()
        self.sources.adopt_with(self.tell)
        return self.sources

    def tell(self, anchors: Sequence[Certificate]) -> None:
        self.told = {one.raw for one in anchors}

    def put(self, name: str, *certificates: Issued) -> None:
        """A file with certificates."""
        raw = b"".join(one.certificate.public_bytes(Encoding.PEM) for one in certificates)
        (self.folder / name).write_bytes(raw)

    async def after(self, seconds: float) -> set[bytes]:
        """What counts after a look some time later."""
        await self.clock.advance(seconds)
        await self.sources.look()
        return self.told


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.fixture
def listing(tmp_path: Path) -> Watched:
    watched = Watched(tmp_path, URL)
    watched.put("list-signers/operator.pem", OPERATOR)
    watched.publisher.page = xml_list(service(ROOT))
    return watched


async def test_a_changed_folder_is_adopted(watched: Watched) -> None:
    watched.put("anchors/a.pem", ROOT)
    assert await watched.after(POLL_S) == {ROOT.der}
    watched.put("anchors/b.pem", OTHER)
    assert await watched.after(POLL_S) == {ROOT.der, OTHER.der}
    (watched.folder / "anchors/a.pem").unlink()
    assert await watched.after(POLL_S) == {OTHER.der}


async def test_a_broken_file_leaves_what_counted_and_is_reported_until_it_is_mended(watched: Watched) -> None:
    watched.put("anchors/a.pem", ROOT)
    await watched.after(POLL_S)
    (watched.folder / "anchors/b.pem").write_text("no certificate")
    assert await watched.after(POLL_S) == {ROOT.der}
    assert "b.pem" in (watched.sources.problem or "")
    watched.put("anchors/b.pem", seal(ROOT))
    assert await watched.after(POLL_S) == {ROOT.der}, "a certificate that is none of an authority"
    watched.put("anchors/b.pem", OTHER)
    assert await watched.after(POLL_S) == {ROOT.der, OTHER.der}
    assert watched.sources.problem is None


def test_a_start_with_a_broken_file_is_refused(watched: Watched) -> None:
    (watched.folder / "anchors/b.pem").write_text("no certificate")
    with pytest.raises(HansaError, match=r"b\.pem"):
        watched.anew()


async def test_a_credential_is_refused_from_the_moment_on_in_which_its_authority_is_gone(
    watched: Watched,
) -> None:
    verifying = Verifying(anchors=())
    watched.sources.adopt_with(verifying.trust.adopt)
    watched.put("anchors/a.pem", ROOT)
    await watched.after(POLL_S)
    assert (await verifying.presentation(bound(sd_jwt()))).issuer.proof == "certificate"
    (watched.folder / "anchors/a.pem").unlink()
    await watched.after(POLL_S)
    assert await verifying.code(bound(sd_jwt()), is_presented=True) is Code.CREDENTIAL_ISSUER_UNTRUSTED


async def test_a_list_is_fetched_and_again_after_a_while(listing: Watched) -> None:
    assert "it was not fetched yet" in str(listing.sources.problem)
    assert await listing.after(0) == {ROOT.der}
    assert listing.sources.problem is None
    listing.publisher.page = xml_list(service(OTHER), number=8)
    assert await listing.after(REFRESH_S - 1) == {ROOT.der}
    assert await listing.after(1) == {OTHER.der}
    assert len(listing.publisher.requests) == 2
    assert listing.publisher.requests[0].answer_size_max_bytes == 8_388_608


async def test_a_list_that_cannot_be_fetched_counts_until_its_own_end_and_no_longer(listing: Watched) -> None:
    await listing.after(0)
    listing.publisher.page = None
    assert await listing.after(REFRESH_S) == {ROOT.der}
    assert "cannot be read" in (listing.sources.problem or "")
    assert await listing.after(DAY_S - REFRESH_S + 300) == set()
    assert "has ended" in (listing.sources.problem or "") or "cannot be read" in (
        listing.sources.problem or ""
    )
    listing.publisher.page = xml_list(service(ROOT), number=9, next_s=NOW_S + 9 * DAY_S)
    assert await listing.after(RETRY_S) == {ROOT.der}


@pytest.mark.parametrize(
    "page",
    [
        xml_list(service(OTHER), number=8, signer=seal(None, None)),
        xml_list(service(OTHER), number=6),
        b"<html>down for maintenance</html>",
        b"",
    ],
    ids=["signed by a stranger", "an old one", "a page", "nothing"],
)
async def test_a_list_that_cannot_be_believed_leaves_the_one_before_it(listing: Watched, page: bytes) -> None:
    await listing.after(0)
    listing.publisher.page = page
    assert await listing.after(REFRESH_S) == {ROOT.der}
    assert listing.sources.problem is not None
    before = len(listing.publisher.requests)
    await listing.after(RETRY_S - 1)
    assert len(listing.publisher.requests) == before, "the publisher is not asked all the time"


async def test_a_restart_has_the_lists_while_their_publisher_is_down(listing: Watched) -> None:
    await listing.after(0)
    listing.publisher.page = None
    listing.told = set()
    listing.anew()
    assert listing.told == {ROOT.der}


async def test_a_copy_that_somebody_altered_is_not_believed_after_a_restart(listing: Watched) -> None:
    await listing.after(0)
    (copy,) = (listing.folder / "trusted-lists").iterdir()
    copy.write_bytes(copy.read_bytes().replace(b">7<", b">8<"))
    listing.told = set()
    listing.anew()
    assert listing.told == set()


async def test_the_lists_of_a_signer_that_is_taken_out_count_no_more(listing: Watched) -> None:
    await listing.after(0)
    (listing.folder / "list-signers/operator.pem").unlink()
    assert await listing.after(POLL_S) == set()
    listing.put("list-signers/operator.pem", OPERATOR)
    assert await listing.after(RETRY_S) == {ROOT.der}


async def test_a_list_in_a_file_is_read_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "pid.jws"
    watched = Watched(tmp_path, str(path))
    watched.put("list-signers/operator.pem", OPERATOR)
    path.write_text(json_list(service(ROOT)))
    assert await watched.after(POLL_S) == {ROOT.der}
    path.write_text(json_list(service(OTHER), service(ROOT), number=8))
    assert await watched.after(POLL_S) == {ROOT.der, OTHER.der}
    path.write_text("broken")
    assert await watched.after(POLL_S) == {ROOT.der, OTHER.der}
    assert watched.sources.problem is not None


async def test_a_list_that_cannot_be_read_leaves_no_other_list_of_a_signer_that_is_taken_out(
    tmp_path: Path,
) -> None:
    first, second = tmp_path / "first.jws", tmp_path / "second.jws"
    watched = Watched(tmp_path, str(first), str(second))
    watched.put("list-signers/operator.pem", OPERATOR)
    first.write_text(json_list(service(ROOT)))
    second.write_text(json_list(service(OTHER)))
    assert await watched.after(POLL_S) == {ROOT.der, OTHER.der}
    first.unlink()
    first.mkdir()
    (tmp_path / "list-signers/operator.pem").unlink()
    assert await watched.after(POLL_S) == set()
    assert "cannot be read" in (watched.sources.problem or "")


def test_a_start_with_a_list_that_cannot_be_read_goes_on_without_it(tmp_path: Path) -> None:
    (tmp_path / "list.jws").mkdir()
    watched = Watched(tmp_path, str(tmp_path / "list.jws"))
    assert watched.told == set()
    assert "cannot be read" in (watched.sources.problem or "")


async def test_the_watch_goes_on_by_itself(watched: Watched) -> None:
    watched.put("anchors/a.pem", ROOT)
    task = asyncio.create_task(watched.sources.run())
    await until(lambda: watched.told == {ROOT.der} and watched.clock.sleepers == 2)
    watched.put("anchors/a.pem", OTHER)
    await watched.clock.advance(POLL_S)
    await until(lambda: watched.told == {OTHER.der})
    assert watched.sources.problem is None
    task.cancel()


async def test_a_publisher_that_does_not_answer_holds_up_no_folder(listing: Watched) -> None:
    released = asyncio.Event()

    listing.publisher.released = released
    listing.put("anchors/a.pem", OTHER)
    task = asyncio.create_task(listing.sources.run())
    await until(lambda: listing.told == {OTHER.der})
    listing.put("anchors/b.pem", authority("Third CA"))
    await until(lambda: listing.clock.sleepers)
    await listing.clock.advance(POLL_S)
    await until(lambda: len(listing.told) == 2)
    released.set()
    await until(lambda: ROOT.der in listing.told)
    assert len(listing.told) == 3
    task.cancel()
