"""The interpreter while much is loaded."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Take it that all objects that come to be in the block stay: none is looked at for cyclic garbage.

    Modules are some hundred thousand objects that are made one after the other. To look for garbage among
    them meanwhile, and at each full collection ever after, is a sixth of what importing takes.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
