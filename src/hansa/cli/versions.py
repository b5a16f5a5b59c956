"""The versions of this installation."""

from __future__ import annotations

import platform

import apsw

from hansa import __version__
from hansa.core.errors import HansaError
from hansa.pubsub.engine import engine_build


def versions() -> dict[str, str]:
    """Versions of Hansa, its engine, Python and SQLite by name; the engine may be `missing`."""
    try:
        engine = engine_build().cometbft
    except HansaError:
        engine = "missing"
    return {
        "hansa": __version__,
        "cometbft": engine,
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
    }
