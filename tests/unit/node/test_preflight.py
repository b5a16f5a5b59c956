from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import msgspec
import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.node import preflight
from hansa.node.folder import NODE_KEY, VALIDATOR_KEY, init_member, load_genesis
from hansa.node.folder.lock import FolderLock
from hansa.node.http.server import listening_socket
from hansa.node.settings.loading import load_settings
from hansa.pubsub.engine import EngineKey, require_free_port

LIMITS = Limits()
NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clocks:
    """The other members: what their clocks show, None for one that does not answer."""

    def __init__(self, *times: datetime | str | None) -> None:
        self.times = times
        self.members = [
            Member(did=f"did:x:{n}", name=f"m{n}", endpoint=f"http://m{n}.example", keys=(), power=1)
            for n in range(len(times))
        ]

    async def send(self, request: HttpRequest) -> HttpResponse:
        told = self.times[[member.endpoint + "/livez" for member in self.members].index(request.url)]
        if told is None:
            raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "Nobody.")
        date = told if isinstance(told, str) else format_datetime(told, usegmt=True)
        return HttpResponse(200, {"date": date}, b"")


async def ahead(*times: datetime | str | None) -> float | None:
    clocks = Clocks(*times)
    return await preflight.check_clock_by_members(clocks, clocks.members, ManualClock(NOW), LIMITS)


async def test_a_clock_like_the_others_is_accepted() -> None:
    assert await ahead(NOW, NOW + timedelta(seconds=10), NOW - timedelta(seconds=9)) == 0


@pytest.mark.parametrize(
    ("offset", "said"), [(2 * HOUR, "2.0 hours behind"), (-2 * HOUR, "2.0 hours ahead of")]
)
async def test_a_clock_two_hours_off_is_named_with_its_offset(offset: timedelta, said: str) -> None:
    with pytest.raises(Fatal, match=said) as caught:
        await ahead(NOW + offset, NOW + offset, None)
    assert caught.value.code is Code.CLOCK_WRONG


async def test_one_wrong_clock_among_the_others_decides_nothing() -> None:
    assert await ahead(NOW, NOW + 2 * HOUR, NOW) == 0
    assert await ahead(None, NOW + 2 * HOUR, None) == -7200


async def test_the_only_other_member_decides() -> None:
    with pytest.raises(Fatal):
        await ahead(NOW + 2 * HOUR)


async def test_nobody_and_nonsense_say_nothing_about_the_time() -> None:
    assert await ahead() is None
    assert await ahead(None, "yesterday", "", "Mon, 99 Foo 2026") is None


def test_a_last_block_in_the_future_shows_a_slow_clock() -> None:
    preflight.check_clock_by_ledger(None, ManualClock(NOW), LIMITS)
    preflight.check_clock_by_ledger(NOW + timedelta(seconds=200), ManualClock(NOW), LIMITS)
    with pytest.raises(Fatal, match=r"2\.0 hours in the future") as caught:
        preflight.check_clock_by_ledger(NOW + 2 * HOUR, ManualClock(NOW), LIMITS)
    assert caught.value.code is Code.CLOCK_WRONG


def test_too_little_space_is_said_with_both_figures(tmp_path: Path) -> None:
    preflight.check_disk(tmp_path, LIMITS, "market")
    with pytest.raises(Fatal, match="disk_free_min_bytes") as caught:
        preflight.check_disk(tmp_path, msgspec.structs.replace(LIMITS, disk_free_min_bytes=2**62), "market")
    assert caught.value.code is Code.DISK_FULL


def test_a_marketplace_that_differs_from_its_genesis_is_refused(tmp_path: Path) -> None:
    card = init_member(tmp_path / "d", "lubeck", "http://lubeck.example", ManualClock(), p2p_port=26656)
    settings = load_settings(tmp_path / "d", {})
    _, genesis = load_genesis(tmp_path / "d")
    kid = card.member.keys[0].kid
    known = preflight.known_as(settings.did, tmp_path / "d", genesis, ())
    assert known == (card.member, card.member)
    preflight.check_registered(settings, known, tmp_path, kid)
    for changed, key in (
        (msgspec.structs.replace(settings, did="did:x:other"), kid),
        (msgspec.structs.replace(settings, endpoint="http://elsewhere.example"), kid),
        (settings, "another key"),
    ):
        known = preflight.known_as(changed.did, tmp_path / "d", genesis, ())
        with pytest.raises(Fatal) as caught:
            preflight.check_registered(changed, known, tmp_path, key)
        assert caught.value.code is Code.SETTINGS_INVALID


@pytest.mark.parametrize("name", [NODE_KEY, VALIDATOR_KEY])
@pytest.mark.parametrize("is_replaced", [True, False], ids=["another key", "missing"])
def test_an_engine_without_the_keys_that_the_league_knows_is_not_started(
    tmp_path: Path, name: Path, is_replaced: bool
) -> None:
    folder = tmp_path / "d"
    card = init_member(folder, "lubeck", "http://lubeck.example", ManualClock(), p2p_port=26656)
    preflight.check_engine_keys([card.member], folder, folder)
    other = EngineKey.generate()
    content = other.node_document() if name == NODE_KEY else other.validator_document()
    (folder / name).write_bytes(content) if is_replaced else (folder / name).unlink()
    with pytest.raises(Fatal, match=name.name) as caught:
        preflight.check_engine_keys([card.member], folder, folder)
    assert caught.value.code is Code.SETTINGS_INVALID


def test_before_the_first_start_the_ledger_says_nothing(tmp_path: Path) -> None:
    assert preflight.ledger_before_start(tmp_path) == preflight.LedgerBefore()


def test_a_folder_is_locked_once_and_free_again_afterwards(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "lock", "D"):
        with (
            pytest.raises(Fatal, match=f"process {os.getpid()}") as caught,
            FolderLock(tmp_path / "lock", "D"),
        ):
            pass
        assert caught.value.code is Code.FOLDER_IN_USE
    with FolderLock(tmp_path / "lock", "D"):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_lock_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="lock") as caught, FolderLock(tmp_path / "no" / "lock", "D"):
        pass
    assert caught.value.code is Code.SETTINGS_INVALID


@pytest.mark.enable_socket
@pytest.mark.parametrize("host", ["a" * 300, "a..b", "203.0.113.7"])
def test_a_host_that_is_none_of_this_machine_is_a_wrong_setting(host: str) -> None:
    for attempt in (
        lambda: require_free_port(8101, "metrics_listen", host),
        lambda: listening_socket(host, 8101, "metrics_listen"),
    ):
        with pytest.raises(Fatal, match=r"\(metrics_listen\)") as caught:
            attempt()
        assert caught.value.code is Code.SETTINGS_INVALID


@pytest.mark.enable_socket
def test_a_port_that_is_taken_is_named_with_what_it_was_for() -> None:
    with listening_socket("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        for attempt in (
            lambda: require_free_port(port, "metrics_listen"),
            lambda: listening_socket("127.0.0.1", port, "metrics_listen"),
        ):
            with pytest.raises(Fatal, match=rf"^Port {port} \(metrics_listen\) is in use") as caught:
                attempt()
            assert caught.value.code is Code.PORT_IN_USE
