"""The plot: shares as heights, unknown days as gaps."""

from __future__ import annotations

from decimal import Decimal

from tests.unit.report.pieces import day
from thirdsentry_pipeline.report.history import HEIGHT, WIDTH, plot, share


def test_no_closed_day_is_no_plot():
    assert plot([]) is None


def test_each_day_is_a_step_from_the_share_it_closed_with():
    drawn = plot([day(2, passing=0, covered=5, applicable=10), day(1, 10, 10, 10)])
    assert drawn.passing_path == f"M0.00 100.00 L500.00 100.00 L500.00 0.00 L{WIDTH}.00 0.00"
    assert drawn.covered_path == f"M0.00 50.00 L500.00 50.00 L500.00 0.00 L{WIDTH}.00 0.00"
    assert drawn.covered_area.endswith(f"L{WIDTH}.00 {HEIGHT} L0.00 {HEIGHT} Z")


def test_day_without_applicable_controls_is_a_gap_and_never_a_full_share():
    drawn = plot([day(3, 1, 1, 1), day(2, 0, 0, 0), day(1, 1, 1, 1)])
    assert drawn.passing_path.count("M") == 2
    assert [one.passing_pct for one in drawn.days] == [100, None, 100]


def test_share_is_cut_so_that_almost_all_is_not_all():
    assert share(9999, 10000) == Decimal("99.9")
    assert share(1, 3) == Decimal("33.3")
    assert share(0, 0) is None
