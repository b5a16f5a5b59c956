"""The routes of the TM Forum APIs, taken from the models, and a fair share of trials for each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from hansa.business.models import Models, Resource

T = TypeVar("T")

FULLY_TRIED = ("/tmf-api/productCatalogManagement/", "/tmf-api/party/", "/league/")
"""Where every trial is made.

One handler serves all resources, so that elsewhere a share of them is enough.
"""
SHARE = 2


def collections(models: Models) -> list[str]:
    """Paths of all lists; the parent of a sub-resource is called `x`."""
    return [path for path, resource in _paths(models) if "list" in resource.methods]


def writes(models: Models) -> list[tuple[str, str]]:
    """Method and path wherever a body is taken."""
    routes = [("POST", path) for path, resource in _paths(models) if "create" in resource.methods]
    routes += [("PATCH", f"{path}/x") for path, resource in _paths(models) if "patch" in resource.methods]
    return [*routes, *(("POST", path) for path in hubs(models))]


def hubs(models: Models) -> list[str]:
    """Paths of all hubs."""
    return [f"{api.base_path}hub" for api in models.apis]


def share_of(trials: Mapping[str, T], routes: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, str, T]]:
    """Method, path, name and trial: all trials on some routes, and on the others each in turn."""
    names = list(trials)
    for index, (method, path) in enumerate(routes):
        chosen = names
        if not path.startswith(FULLY_TRIED):
            chosen = [names[(SHARE * index + n) % len(names)] for n in range(SHARE)]
        for name in chosen:
            yield method, path, name, trials[name]


def _paths(models: Models) -> Iterator[tuple[str, Resource]]:
    for api in models.apis:
        for resource in api.resources:
            yield api.base_path + re.sub(r"\{\w+\}", "x", resource.path), resource
