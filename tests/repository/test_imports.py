"""No file of the package needs itself through others: each can be read, and understood, after those it imports."""

from graphlib import CycleError, TopologicalSorter

import grimp


def circle_in(graph: grimp.ImportGraph) -> list[str]:
    """The modules of one circle, imports for type checkers and inside functions included; empty where there is none."""
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_import_leads_back_to_where_it_began() -> None:
    assert circle_in(grimp.build_graph("doorward", cache_dir=None)) == []


def test_a_circle_is_found() -> None:
    graph = grimp.ImportGraph()
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "b")):
        graph.add_import(importer=importer, imported=imported)
    assert sorted(set(circle_in(graph))) == ["b", "c"]
