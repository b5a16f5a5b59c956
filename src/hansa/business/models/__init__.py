"""Compact models of the TM Forum Open APIs: one file per API, read once by a process.

`form` describes the files and reads them into `records`. What all APIs share: `lifecycles`, the state
machines; `references`, the entities to which references can refer; `event_names`, the events of each
operation.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Final

from hansa.business.models.form import read_model
from hansa.business.models.lifecycles import Items, Lifecycle, load_lifecycles
from hansa.business.models.records import (
    LIFECYCLE_STATUS,
    PRIMITIVES,
    PUBLIC_STATUSES,
    Api,
    Attribute,
    EntityType,
    Models,
    Resource,
)
from hansa.business.models.references import References, Target, references_text

__all__ = [
    "LIFECYCLE_STATUS",
    "PRIMITIVES",
    "PUBLIC_STATUSES",
    "Api",
    "Attribute",
    "EntityType",
    "Items",
    "Lifecycle",
    "Models",
    "References",
    "Resource",
    "Target",
    "digest",
    "load",
]

MODEL_NAME: Final = re.compile(r"tmf\d+\.toml")
"""File names of models; `states.toml` and `references.toml` are shared by all of them."""


@cache
def load() -> Models:
    """The models of all APIs that this version serves, which all marketplaces of a process share.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when a model is not in the form.
    """
    apis = tuple(read_model(text, name) for name, text in _texts().items())
    return Models(apis, load_lifecycles(), references_text())


def digest() -> str:
    """SHA-256 of the models' files: another one when what is valid may be another; hex."""
    return hashlib.sha256("\0".join(_texts().values()).encode()).hexdigest()


def _texts() -> dict[str, str]:
    """The files of the models, by name."""
    entries = [entry for entry in files(__name__).iterdir() if MODEL_NAME.fullmatch(entry.name)]
    return {one.name: one.read_text(encoding="utf-8") for one in sorted(entries, key=lambda one: one.name)}
