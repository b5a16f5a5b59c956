"""Compact models of the TM Forum Open APIs: a file per API, read once when a marketplace starts."""

from __future__ import annotations

from importlib.resources import files

from hansa.business.models.form import read
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

__all__ = [
    "LIFECYCLE_STATUS",
    "PRIMITIVES",
    "PUBLIC_STATUSES",
    "Api",
    "Attribute",
    "EntityType",
    "Models",
    "Resource",
    "load",
]


def load() -> Models:
    """The models of all APIs that this version serves.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when a model is not in the form.
    """
    written = sorted(
        (entry for entry in files(__name__).iterdir() if entry.name.endswith(".toml")),
        key=lambda entry: entry.name,
    )
    return Models(tuple(read(entry.read_text(encoding="utf-8"), entry.name) for entry in written))
