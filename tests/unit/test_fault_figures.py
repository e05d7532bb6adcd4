"""The figures of a full run of the fault tests count what was held and shown, and nothing else."""

from types import SimpleNamespace

from tests.faults import figures


def report(when, *properties, passed=True):
    return SimpleNamespace(when=when, passed=passed, user_properties=list(properties))


def test_a_fault_is_held_when_all_its_tests_pass_and_a_guard_is_shown_when_its_turns_do():
    counted = figures.Figures()
    for one in (
        report("call", ("fault", 1)),
        report("teardown", ("fault", 1), ("seeds", 25)),
        report("call", ("fault", 2), passed=False),
        report("teardown", ("fault", 2), ("seeds", 25)),
        report("call", ("fault", 3), ("guard", "stays green")),
        report("teardown", ("fault", 3), ("guard", "stays green"), passed=False),
        report("teardown", ("fault", 1), ("guard", "turns red")),
    ):
        counted.pytest_runtest_logreport(one)
    rows = dict(counted.rows())
    assert rows["faults held"].startswith("1 of 2 ")
    assert rows["guards shown: red without them"] == "1 of 2"
    assert rows["seeds"] == "50"
    assert rows["tests"] == "4, 2 failed"


def test_the_page_keeps_what_is_around_its_markers(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{figures.BEGIN}\nold\n{figures.END}\nafter\n")
    figures.write([("seeds", "25")], page)
    assert page.read_text() == (
        f"before\n{figures.BEGIN}\n| | |\n|---|---|\n| seeds | 25 |\n{figures.END}\nafter\n"
    )
    assert figures.BEGIN in figures.PAGE.read_text()
