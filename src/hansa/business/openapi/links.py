"""Links between the operations of an API (OpenAPI 3.1, Link Object): where values of a response are taken.

The identifier that a create returns leads to every operation on that entity: of its own path, and of the
paths of which it is the parent, as the content of a job or the dead letters of a registration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from hansa.business.openapi.parts import Part

METHODS: Final = ("get", "post", "patch", "put", "delete")
_NAME: Final = re.compile(r"\{(\w+)\}")


def add_links(paths: Mapping[str, Part]) -> None:
    """Add the links of all responses of `paths` that create something; their bodies have an `id`."""
    for path, item in paths.items():
        created = item.get("post", {}).get("responses", {}).get("201")
        if created is not None and "links" not in created:
            links = _links_from(path, paths)
            if links:
                created["links"] = links


def _links_from(path: str, paths: Mapping[str, Part]) -> Part:
    """The links of what is created at a path."""
    known = _NAME.findall(path)
    links: Part = {}
    for other, item in paths.items():
        names = _NAME.findall(other)
        if not other.startswith(f"{path}/{{") or len(names) != len(known) + 1:
            continue
        parameters = {name: f"$request.path.{name}" for name in known} | {names[-1]: "$response.body#/id"}
        for method in METHODS:
            if method in item:
                operation = item[method]["operationId"]
                links[operation] = {
                    "operationId": operation,
                    "description": f"{item[method]['summary']}, of what was created.",
                    "parameters": parameters,
                }
    return links
