"""A CometBFT whose clock can be wrong: the pinned one, compiled once more with a switch.

The engine is a static binary that reads the machine's clock through the kernel's page, so nothing from
outside can give it another time. This one adds what the file `clock_offset` in its home says (`20s`, `-1h`),
as Go writes durations. It is compiled into the cache beside the product's own, a minute or two once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import compile_engine
from compile_engine import Correction

OFFSET_FILE: Final = "clock_offset"
SWITCH: Final = """
var clockOffset = readClockOffset()

func readClockOffset() time.Duration {
	text, err := os.ReadFile("clock_offset")
	if err != nil {
		return 0
	}
	offset, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil {
		panic(err)
	}
	return offset
}

// Canonical returns UTC time with no monotonic component.
"""
CORRECTIONS: Final = (
    Correction(
        "types/time/time.go",
        'import (\n\t"sort"\n\t"time"\n)',
        'import (\n\t"os"\n\t"sort"\n\t"strings"\n\t"time"\n)',
    ),
    Correction(
        "types/time/time.go",
        "return Canonical(time.Now())",
        "return Canonical(time.Now().Add(clockOffset))",
    ),
    Correction(
        "types/time/time.go", "// Canonical returns UTC time with no monotonic component.\n", SWITCH.lstrip()
    ),
)


class EngineMissing(Exception):
    """The engine with the switch cannot be compiled here."""


def engine_with_clock() -> Path:
    """The binary; compiled if it was not before.

    Raises:
        EngineMissing: there is no Go, or its modules cannot be fetched.
    """
    cache = compile_engine.cache_folder(os.environ)
    with _corrected():
        digest = compile_engine.build_digest(compile_engine.ENGINE_FOLDER, compile_engine.platform_name())
        finished = cache / digest
        if not compile_engine.is_whole(finished, digest):
            try:
                finished = compile_engine.build(digest, cache, os.environ)
            except compile_engine.EngineBuildError as error:
                raise EngineMissing(str(error).splitlines()[0]) from error
    return finished / "cometbft"


@contextmanager
def _corrected() -> Iterator[None]:
    """While it lasts, the engine is compiled with the switch, too."""
    before = compile_engine.CORRECTIONS
    compile_engine.CORRECTIONS = (*before, *CORRECTIONS)  # type: ignore[assignment]
    try:
        yield
    finally:
        compile_engine.CORRECTIONS = before


def set_engine_clock(home: Path, offset_s: float) -> None:
    """Have the engine of a home begin with a clock that is so far off."""
    (home / OFFSET_FILE).write_text(f"{offset_s:g}s\n")
