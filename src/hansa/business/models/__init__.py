"""Compact models of the TM Forum Open APIs: one file per API, read once when a marketplace starts.

`form` describes the files and reads them into `records`. What all APIs share: `lifecycles`, the state
machines; `references`, the entities to which references can refer; `event_names`, the events of each
operation.
"""

from __future__ import annotations

import re
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
    "load",
]

MODEL_NAME: Final = re.compile(r"tmf\d+\.toml")
"""File names of models; `states.toml` and `references.toml` are shared by all of them."""


def load() -> Models:
    """The models of all APIs that this version serves.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when a model is not in the form.
    """
    entries = sorted(
        (entry for entry in files(__name__).iterdir() if MODEL_NAME.fullmatch(entry.name)),
        key=lambda entry: entry.name,
    )
    apis = tuple(read_model(entry.read_text(encoding="utf-8"), entry.name) for entry in entries)
    return Models(apis, load_lifecycles(), references_text())
