from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import stat
import tarfile
from pathlib import Path

import apsw
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal, HansaError, Refused, Unavailable
from hansa.node.backup import Manifest, restore_backup, verify_backup, write_backup
from hansa.node.backup import writer as backup_writer
from hansa.node.backup.archive import (
    END,
    MANIFEST,
    MANIFEST_HASH,
    ArchiveReader,
    Part,
    encode_manifest,
    header,
    leading_entries,
    padding,
)
from hansa.node.backup.contents import is_restorable
from hansa.node.backup.writer import COPIED_MAX_BYTES
from hansa.node.folder import init_member
from hansa.node.folder.permissions import open_to_others
from hansa.node.joining.mark import Joining, read_joining, write_joining
from hansa.node.validator.observing import Reason, read_observing
from hansa.pubsub.engine import SIGNING_STATE, SigningState, read_signing_state

CLOCK = ManualClock()
ROWS = 50


@pytest.fixture
def folder(member_of_two: Path) -> Path:
    """A member of two, with a store, that has signed."""
    made = member_of_two
    (made / "token").write_text("a token\n")
    (made / "schemas").mkdir()
    (made / "schemas" / "x.json").write_text("{}")
    (made / "jobs" / "1").mkdir(parents=True)
    (made / "jobs" / "1" / "content").write_bytes(os.urandom(3000))
    (made / "serve.log").write_text("a log")
    (made / "lock").write_text("")
    store = apsw.Connection(str(made / "store.db"))
    store.pragma("journal_mode", "wal")
    store.execute("CREATE TABLE entity (id INTEGER PRIMARY KEY, body TEXT)")
    store.executemany("INSERT INTO entity (body) VALUES (?)", [(str(n) * 200,) for n in range(ROWS)])
    store.close()
    return made


@pytest.fixture
def backup(folder: Path, tmp_path: Path) -> Path:
    file = tmp_path / "market.backup"
    write_backup(folder, file, CLOCK)
    return file


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def rows(path: Path) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return connection.execute("SELECT id, body FROM entity ORDER BY id").fetchall()
    finally:
        connection.close()


def test_what_is_backed_up_comes_back(folder: Path, backup: Path, tmp_path: Path) -> None:
    restored = tmp_path / "restored"
    manifest = restore_backup(backup, restored, CLOCK)
    assert manifest.name == "market"
    assert manifest.chain_id == "a-league"
    before, after = contents(folder), contents(restored)
    for name in ("serve.log", "lock", "ledger/data/priv_validator_state.json", "store.db"):
        before.pop(name)
    before = {name: content for name, content in before.items() if not name.startswith("store.db-")}
    assert set(after) - set(before) == {"store.db", "observing.json"}
    assert {name: after[name] for name in before} == before
    assert rows(restored / "store.db") == rows(folder / "store.db")
    assert len(rows(restored / "store.db")) == ROWS
    assert list(open_to_others(restored)) == []
    assert not [path.name for path in tmp_path.iterdir() if "partial" in path.name]


def test_a_restored_validator_is_marked_and_does_not_get_its_old_memory(backup: Path, tmp_path: Path) -> None:
    restore_backup(backup, tmp_path / "restored", CLOCK)
    marked = read_observing(tmp_path / "restored")
    assert marked is not None
    assert (marked.reason, marked.signed) == (Reason.RESTORED, SigningState(41, 0, 3))
    assert not (tmp_path / "restored" / "ledger" / SIGNING_STATE).exists()


def test_a_validator_that_signs_now_continues_after_what_it_had_signed(backup: Path, tmp_path: Path) -> None:
    restore_backup(backup, tmp_path / "restored", CLOCK, signs_now=True)
    assert read_observing(tmp_path / "restored") is None
    assert read_signing_state(tmp_path / "restored" / "ledger") == SigningState(41, 0, 3)


def test_a_validator_whose_backup_says_nothing_about_signing_cannot_sign_now(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "ledger" / SIGNING_STATE).unlink()
    write_backup(folder, tmp_path / "b", CLOCK)
    with pytest.raises(Refused, match="must not sign at once"):
        restore_backup(tmp_path / "b", tmp_path / "restored", CLOCK, signs_now=True)
    assert not (tmp_path / "restored").exists()


def test_the_store_is_consistent_while_somebody_writes_to_it(folder: Path, tmp_path: Path) -> None:
    writer = apsw.Connection(str(folder / "store.db"))
    backups = []
    written = iter(range(10**6))

    def write_on(_: int) -> None:
        writer.execute("INSERT INTO entity (body) VALUES (?)", (f"more {next(written)}",))

    for number in range(3):
        write_on(0)
        backups.append(tmp_path / f"{number}.backup")
        write_backup(folder, backups[-1], CLOCK, progress=write_on)
    writer.close()
    for number, file in enumerate(backups):
        restore_backup(file, tmp_path / str(number), CLOCK)
        ids = [row[0] for row in rows(tmp_path / str(number) / "store.db")]
        assert ids == list(range(1, len(ids) + 1))
        assert len(ids) > ROWS


def test_equal_contents_have_equal_backups(folder: Path, backup: Path, tmp_path: Path) -> None:
    manifest = write_backup(folder, tmp_path / "again", CLOCK)
    assert (tmp_path / "again").read_bytes() == backup.read_bytes()
    assert manifest.fingerprint == hashlib.sha256(encode_manifest(manifest)).hexdigest()


def test_a_backup_is_its_owners_alone_and_any_tar_program_lists_it(backup: Path) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with tarfile.open(backup) as archive:
        members = archive.getmembers()
        assert all(member.isreg() and member.mode == 0o600 for member in members)
        listed = [member.name for member in members]
        store = archive.extractfile("store.db")
        assert store is not None
        assert store.read(6) == b"SQLite"
    manifest = verify_backup(backup)
    assert listed == [MANIFEST, MANIFEST_HASH, *(part.path for part in manifest.parts)]


def test_an_existing_file_is_replaced_only_on_request(folder: Path, backup: Path) -> None:
    with pytest.raises(Refused, match="--force") as caught:
        write_backup(folder, backup, CLOCK)
    assert caught.value.code is Code.CONFLICT
    (folder / "token").write_text("another token\n")
    write_backup(folder, backup, CLOCK, is_replaced=True)
    assert verify_backup(backup).name == "market"


@pytest.mark.parametrize(
    "name", ["hansa.toml", "keys/member.jwk", "genesis.json", "ledger/config/priv_validator_key.json"]
)
def test_a_folder_that_is_not_whole_is_not_backed_up(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(Fatal, match="is missing"):
        write_backup(folder, tmp_path / "b", CLOCK)
    assert not (tmp_path / "b").exists()


def test_a_backup_does_not_go_into_the_folder_that_it_is_of(folder: Path) -> None:
    with pytest.raises(Refused, match="lies in"):
        write_backup(folder, folder / "schemas" / "b", CLOCK)


def test_a_damaged_store_is_not_backed_up(folder: Path, tmp_path: Path) -> None:
    content = bytearray((folder / "store.db").read_bytes())
    content[8192:8292] = bytes(100)
    (folder / "store.db").write_bytes(content)
    with pytest.raises(Fatal, match="damaged") as caught:
        write_backup(folder, tmp_path / "b", CLOCK)
    assert caught.value.code is Code.STORE_DAMAGED
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith((".", "b"))]


def test_a_full_disk_leaves_nothing_under_the_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(Fatal) as caught:
        write_backup(folder, tmp_path / "b", CLOCK)
    assert caught.value.code is Code.DISK_FULL
    monkeypatch.setattr(backup_writer, "free_bytes", lambda _: 1000)
    with pytest.raises(Fatal, match="1,000 bytes free") as caught:
        write_backup(folder, tmp_path / "b", CLOCK)
    assert caught.value.code is Code.DISK_FULL
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith((".", "b"))]


def test_a_validator_may_sign_while_a_backup_is_written(folder: Path, tmp_path: Path) -> None:
    signed = folder / "ledger" / SIGNING_STATE
    before = signed.read_bytes()

    def sign(_: int) -> None:
        signed.with_name("next").write_bytes(before.replace(b"41", b"42"))
        signed.with_name("next").replace(signed)

    write_backup(folder, tmp_path / "b", CLOCK, progress=sign)
    assert signed.read_bytes() != before
    restore_backup(tmp_path / "b", tmp_path / "restored", CLOCK)
    marked = read_observing(tmp_path / "restored")
    assert marked is not None
    assert marked.signed == SigningState(41, 0, 3), "as it was when the backup began"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_large_file_that_changes_meanwhile_ends_the_attempt(folder: Path, tmp_path: Path) -> None:
    content = folder / "jobs" / "1" / "content"
    content.write_bytes(bytes(2 * COPIED_MAX_BYTES))

    changes = iter(range(1000))

    def change(_: int) -> None:
        with content.open("r+b") as opened:
            opened.write(b"%d" % next(changes))

    with pytest.raises(Unavailable, match="changed"):
        write_backup(folder, tmp_path / "b", CLOCK, progress=change)
    assert not (tmp_path / "b").exists()


def test_the_ledger_needs_a_stopped_marketplace(folder: Path, tmp_path: Path) -> None:
    blocks = folder / "ledger" / "data" / "blockstore.db"
    blocks.mkdir(parents=True)
    (blocks / "000001.log").write_bytes(b"blocks")
    assert not write_backup(folder, tmp_path / "without", CLOCK).has_ledger
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write_backup(folder, tmp_path / "running", CLOCK)
        with pytest.raises(Fatal, match="stopped") as caught:
            write_backup(folder, tmp_path / "with", CLOCK, has_ledger=True)
        assert caught.value.code is Code.FOLDER_IN_USE
    assert not (tmp_path / "with").exists()
    write_backup(folder, tmp_path / "with", CLOCK, has_ledger=True)
    restore_backup(tmp_path / "with", tmp_path / "restored", CLOCK)
    assert (tmp_path / "restored" / "ledger/data/blockstore.db/000001.log").read_bytes() == b"blocks"


def test_a_league_of_one_has_its_ledger_in_the_backup(tmp_path: Path) -> None:
    init_member(tmp_path / "d", "lubeck", "http://127.0.0.1:29001", CLOCK, p2p_port=29002)
    (tmp_path / "d" / "ledger" / "data" / "state.db").mkdir(parents=True)
    (tmp_path / "d" / "ledger" / "data" / "state.db" / "1").write_bytes(b"")
    assert write_backup(tmp_path / "d", tmp_path / "b", CLOCK).has_ledger
    with (tmp_path / "d" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Fatal, match="nobody else has its ledger"):
            write_backup(tmp_path / "d", tmp_path / "c", CLOCK)
        assert not write_backup(tmp_path / "d", tmp_path / "c", CLOCK, has_ledger=False).has_ledger


def test_an_empty_folder_is_as_good_as_none(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "restored").mkdir()
    restore_backup(backup, tmp_path / "restored", CLOCK)
    assert (tmp_path / "restored" / "hansa.toml").exists()


def test_nothing_is_restored_over_anything(backup: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    before = contents(folder)
    for target in (folder, tmp_path / "file", tmp_path / "link"):
        with pytest.raises(Refused) as caught:
            restore_backup(backup, target, CLOCK)
        assert caught.value.code is Code.CONFLICT
    assert contents(folder) == before
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_backup_that_changes_while_it_is_restored_is_refused(backup: Path, tmp_path: Path) -> None:
    size = verify_backup(backup).size_bytes
    read = 0

    def change(count: int) -> None:
        nonlocal read
        read += count
        if read == size:  # all of it has been checked
            content = bytearray(backup.read_bytes())
            content[-2000] ^= 1
            with backup.open("r+b") as file:
                file.write(content)

    with pytest.raises(Refused) as caught:
        restore_backup(backup, tmp_path / "restored", CLOCK, progress=change)
    assert caught.value.code is Code.BACKUP_INVALID
    assert not [path.name for path in tmp_path.iterdir() if "restored" in path.name]


# -- hostile files ---------------------------------------------------------------------------------------------


def refusal(content: bytes, tmp_path: Path) -> str:
    """How a file is refused; nothing at all is written."""
    place = tmp_path / "place"
    place.mkdir(exist_ok=True)
    file = tmp_path / "hostile"
    file.write_bytes(content)
    with pytest.raises(HansaError) as caught:
        restore_backup(file, place / "d", CLOCK)
    assert list(place.iterdir()) == []
    with pytest.raises(HansaError):
        verify_backup(file)
    assert caught.value.code in {Code.BACKUP_INVALID, Code.STORE_NEWER}
    return caught.value.message


def archive_of(manifest: Manifest, bodies: dict[str, bytes]) -> bytes:
    """A backup of any manifest, in the exact form."""
    made = leading_entries(encode_manifest(manifest))
    for part in manifest.parts:
        body = bodies[part.path]
        made += header(part.path[:90] or "x", part.size_bytes) + body + padding(len(body))
    return made + END


def parts_of(backup: Path) -> tuple[Manifest, dict[str, bytes]]:
    with backup.open("rb") as file:
        reader = ArchiveReader(file, backup)
        manifest = reader.manifest()
        return manifest, {part.path: b"".join(reader.chunks(part)) for part in manifest.parts}


@pytest.mark.parametrize(
    "path",
    [
        "../outside",
        "/etc/passwd",
        "schemas/../../outside",
        "schemas/./x",
        "schemas//x",
        "schemas/",
        "schemas",
        "jobs/a\0b",
        "jobs/a\nb",
        "jobs/a\\..\\b",
        "observing.json",
        "ledger/data/observer_state.json",
        "ledger/config/config.toml",
        "ledger/abci.sock",
        "lock",
        "unknown",
        "",
        "jobs/" + "x" * 300,
        "token/x",
    ],
)
def test_a_part_that_no_marketplace_has_is_refused(backup: Path, tmp_path: Path, path: str) -> None:
    assert not is_restorable(path)
    manifest, bodies = parts_of(backup)
    part = Part(path, 1, hashlib.sha256(b"x").hexdigest())
    parts = tuple(sorted((*manifest.parts, part), key=lambda one: one.path))
    hostile = archive_of(msgspec.structs.replace(manifest, parts=parts), {**bodies, path: b"x"})
    assert "Nothing was restored" in refusal(hostile, tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": 2}, "newer release"),
        ({"version": 0}, "form"),
        ({"format": "other"}, "form"),
        ({"parts": ()}, "every marketplace has"),
    ],
)
def test_another_form_is_refused(backup: Path, tmp_path: Path, changes: dict[str, object], said: str) -> None:
    manifest, bodies = parts_of(backup)
    assert said in refusal(archive_of(msgspec.structs.replace(manifest, **changes), bodies), tmp_path)


def test_parts_that_are_twice_nested_or_too_large_are_refused(backup: Path, tmp_path: Path) -> None:
    manifest, bodies = parts_of(backup)
    twice = msgspec.structs.replace(manifest, parts=(manifest.parts[0], *manifest.parts))
    assert "twice" in refusal(archive_of(twice, bodies), tmp_path)
    empty = hashlib.sha256(b"").hexdigest()
    nested = tuple(
        sorted(
            (*manifest.parts, Part("schemas/a", 0, empty), Part("schemas/a/b", 0, empty)),
            key=lambda one: one.path,
        )
    )
    bodies |= {"schemas/a": b"", "schemas/a/b": b""}
    assert "below another" in refusal(
        archive_of(msgspec.structs.replace(manifest, parts=nested), bodies), tmp_path
    )
    large = (msgspec.structs.replace(manifest.parts[0], size_bytes=2**60), *manifest.parts[1:])
    assert "too large" in refusal(
        archive_of(msgspec.structs.replace(manifest, parts=large), bodies), tmp_path
    )


def test_a_size_that_the_disk_does_not_have_is_refused_before_anything_is_written(
    backup: Path, tmp_path: Path
) -> None:
    manifest, bodies = parts_of(backup)
    large = (msgspec.structs.replace(manifest.parts[0], size_bytes=2**49), *manifest.parts[1:])
    refusal(archive_of(msgspec.structs.replace(manifest, parts=large), bodies), tmp_path)


def test_an_archive_with_links_made_by_tar_is_refused(backup: Path, tmp_path: Path) -> None:
    manifest, bodies = parts_of(backup)
    content = encode_manifest(manifest)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo(MANIFEST)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
        for part in manifest.parts:
            link = tarfile.TarInfo(part.path)
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
    refusal(made.getvalue(), tmp_path)
    first_part = len(leading_entries(content))
    whole = bytearray(archive_of(manifest, bodies))
    whole[first_part + 156] = ord("2")
    assert "does not begin where it should" in refusal(bytes(whole), tmp_path)


def test_every_changed_byte_is_noticed(backup: Path, tmp_path: Path) -> None:
    whole = backup.read_bytes()
    for place in {*range(0, len(whole), 499), *range(512, 4096, 61)}:
        changed = bytearray(whole)
        changed[place] ^= 1
        backup.write_bytes(changed)
        with pytest.raises(HansaError):
            verify_backup(backup)
    refusal(whole[:-1] + b"x", tmp_path)


def test_every_cut_and_every_addition_is_noticed(backup: Path, tmp_path: Path) -> None:
    whole = backup.read_bytes()
    for length in (0, 1, 511, 512, 1000, 5000, len(whole) // 2, len(whole) - 1):
        refusal(whole[:length], tmp_path)
    refusal(whole + b"\0", tmp_path)


@given(st.binary(max_size=3000))
def test_any_bytes_are_refused_and_nothing_else_happens(content: bytes) -> None:
    with pytest.raises(Refused):
        ArchiveReader(io.BytesIO(content), Path("x")).manifest()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refused, match="not a file"):
        verify_backup(tmp_path / "pipe")
    with pytest.raises(Refused, match="not a file"):
        verify_backup(tmp_path)
    with pytest.raises(Fatal, match="missing"):
        verify_backup(tmp_path / "none")


@given(size=st.integers(0, 2**50), name=st.text("abcé", min_size=1, max_size=49))
def test_a_header_is_what_tar_programs_read(size: int, name: str) -> None:
    info = tarfile.TarInfo.frombuf(header(name, size), "utf-8", "strict")
    assert (info.name, info.size, info.isreg()) == (name, size, True)


def test_a_newcomers_note_comes_back(folder: Path, tmp_path: Path) -> None:
    """Without it the folder would be one that no league knows, until the ledger is there again."""
    joining = Joining("2026-01-01T00:00:00Z", ("https://lubeck.example",), 8, "A" * 64)
    write_joining(folder, joining)
    write_backup(folder, tmp_path / "newcomer.backup", CLOCK)
    restore_backup(tmp_path / "newcomer.backup", tmp_path / "restored", CLOCK)
    assert read_joining(tmp_path / "restored") == joining
