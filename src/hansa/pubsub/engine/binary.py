"""The CometBFT binary that came with this installation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Fatal

FOLDER: Final = Path(__file__).with_name("bin")


class EngineBuild(msgspec.Struct, frozen=True):
    """What the binary was made from: the binary of v0.40.0 itself prints another version."""

    cometbft: str
    """The pinned version, such as `v0.40.0`."""
    go: str
    platform: str
    digest: str
    """Names the build: pin, platform and flags."""


def engine_binary(folder: Path = FOLDER) -> Path:
    """The path of `cometbft`.

    Raises:
        Fatal: `Code.ENGINE_MISSING`.
    """
    binary = folder / "cometbft"
    if not binary.is_file() or not os.access(binary, os.X_OK):
        raise missing("The consensus engine (the cometbft binary) is not in this installation")
    return binary


def engine_build(folder: Path = FOLDER) -> EngineBuild:
    """What the binary was made from.

    Raises:
        Fatal: `Code.ENGINE_MISSING`.
    """
    engine_binary(folder)
    try:
        return msgspec.json.decode((folder / "engine.json").read_bytes(), type=EngineBuild)
    except (OSError, *UNREADABLE) as error:
        raise missing("The description of the consensus engine is missing or damaged") from error


def missing(what: str) -> Fatal:
    """The error for an installation that was not built completely."""
    return Fatal(
        Code.ENGINE_MISSING,
        f"{what}. In a checkout run `make setup`; otherwise install a wheel of Hansa made for this platform.",
    )
