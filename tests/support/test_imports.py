"""What tests share is in `tests/support`, and its fixtures in a conftest: no test module is read for another's sake."""

import grimp


def test_no_test_imports_another_test_or_a_rooms_fixtures() -> None:
    graph = grimp.build_graph("tests", cache_dir=None)
    arrows = [(one, other) for one in graph.modules for other in graph.find_modules_directly_imported_by(one)]
    assert len(arrows) > 100
    assert [(one, other) for one, other in arrows if other.rpartition(".")[2].startswith("test_")] == []
    assert [(one, other) for one, other in arrows if other.endswith(".conftest") and other != "tests.conftest"] == []
