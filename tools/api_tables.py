"""The page that lists every API with its base path and resources, from the models."""

from __future__ import annotations

from typing import Final

from hansa.business.models import Api, Resource, load

SHORT: Final = {
    "list": "L",
    "create": "C",
    "retrieve": "R",
    "patch": "P",
    "replace": "U",
    "delete": "D",
}
"""Letters of the methods, in the order in which they are shown."""


def apis_page() -> str:
    """The content of docs/integrators/apis.md."""
    apis = load().apis
    lines = [
        "# Every API",
        "",
        f"{len(apis)} APIs with {sum(len(api.resources) for api in apis)} resources. How they are used is on the",
        "page [the APIs](api.md), how they follow TM Forum's documents in [conformance](../conformance.md).",
        "",
        "Methods: **L**ist and **C**reate (GET and POST of the collection), **R**etrieve, **P**atch, **U**pdate",
        "(PUT) and **D**elete of one entity. In brackets are those for callers with the role operator alone, which",
        "the document does not have. *Catalogue* types are read without a token and replicated once they are",
        "launched; all others are private. Every API that notifies has a `hub`.",
        "",
        "Written by `python -m tools.document`; a test keeps it in step with the models.",
        "",
        "| API | Version | Base path | Resource | Methods | Catalogue |",
        "|---|---|---|---|---|---|",
    ]
    for api in apis:
        lines += [_row(api, resource) for resource in api.resources]
    return "\n".join(lines) + "\n"


def _row(api: Api, resource: Resource) -> str:
    is_first = resource is api.resources[0]
    head = f"{api.id} {api.title} | {api.version} | `{api.base_path.rstrip('/')}`" if is_first else " | | "
    methods = "".join(letter for method, letter in SHORT.items() if method in resource.methods)
    further = "".join(letter for method, letter in SHORT.items() if method in resource.operator_methods)
    catalogue = "catalogue" if resource.visibility == "catalogue" else ""
    shown = methods + (f" [{further}]" if further else "")
    return f"| {head} | `{resource.path}` | {shown} | {catalogue} |"
