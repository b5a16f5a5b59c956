"""No module needs itself, by whatever way: imports for types and inside functions count as well."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp


def test_imports_go_in_no_circle() -> None:
    graph = grimp.build_graph("hansa", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 500
    circle: list[str] = []
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        circle = error.args[1]
    assert circle == [], " -> ".join(circle)
