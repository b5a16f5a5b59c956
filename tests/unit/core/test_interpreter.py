"""While much is loaded nothing looks for garbage, and afterwards something does again."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from hansa.core.interpreter import loading
from hansa.node.http.server import tune_interpreter


@pytest.fixture(autouse=True)
def collection() -> Iterator[None]:
    """What a test sets is set back."""
    thresholds, interval_s = gc.get_threshold(), sys.getswitchinterval()
    yield
    gc.enable()
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(interval_s)


def test_garbage_is_looked_for_after_loading_and_not_meanwhile() -> None:
    with loading():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_module_that_cannot_be_loaded_leaves_the_collection_on() -> None:
    with pytest.raises(ImportError), loading():
        raise ImportError
    assert gc.isenabled()


def test_loading_leaves_a_collection_off_that_was_off() -> None:
    gc.disable()
    with loading():
        pass
    assert not gc.isenabled()


def test_a_marketplace_that_serves_looks_for_garbage() -> None:
    gc.disable()
    tune_interpreter()
    assert gc.isenabled()
