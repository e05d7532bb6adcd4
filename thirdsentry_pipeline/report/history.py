"""The plot of coverage over time: days and shares become coordinates. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thirdsentry_pipeline.report.snapshot import Day

WIDTH = 1000
HEIGHT = 100


@dataclass(frozen=True, slots=True)
class PlottedDay:
    """One day of the plot; a share is ``None`` when no control was applicable."""

    label: str
    day: Day
    covered_pct: Decimal | None
    passing_pct: Decimal | None


@dataclass(frozen=True, slots=True)
class Plot:
    """Paths in a box of WIDTH times HEIGHT, 100 % at the top; each day is a step as wide.

    ``covered_area`` is the covered share's path closed to the ground, for shading.
    """

    days: tuple[PlottedDay, ...]
    covered_path: str
    covered_area: str
    passing_path: str


def plot(days: Sequence[Day]) -> Plot | None:
    """The plot of closed days in order of time; None while there is none."""
    if not days:
        return None
    plotted = tuple(
        PlottedDay(
            label=one.as_of_date.isoformat(),
            day=one,
            covered_pct=share(one.controls_covered, one.controls_applicable),
            passing_pct=share(one.controls_passing, one.controls_applicable),
        )
        for one in days
    )
    covered = _stretches(plotted, lambda one: one.covered_pct)
    passing = _stretches(plotted, lambda one: one.passing_pct)
    return Plot(
        days=plotted,
        covered_path=" ".join(_line(stretch) for stretch in covered),
        covered_area=" ".join(_area(stretch) for stretch in covered),
        passing_path=" ".join(_line(stretch) for stretch in passing),
    )


def share(part: int, whole: int) -> Decimal | None:
    """Part of whole in percent, cut to one decimal as the marts cut it; None of nothing."""
    return None if whole == 0 else Decimal(part * 1000 // whole) / 10


Point = tuple[float, float]


def _stretches(
    days: Sequence[PlottedDay], value: Callable[[PlottedDay], Decimal | None]
) -> list[list[Point]]:
    """Corners of the steps, broken where a share is unknown."""
    width = WIDTH / len(days)
    stretches: list[list[Point]] = [[]]
    for number, day in enumerate(days):
        known = value(day)
        if known is None:
            stretches.append([])
            continue
        height = HEIGHT - float(known) * HEIGHT / 100
        stretches[-1] += [(number * width, height), ((number + 1) * width, height)]
    return [stretch for stretch in stretches if stretch]


def _line(stretch: Sequence[Point]) -> str:
    return "M" + " L".join(f"{x:.2f} {y:.2f}" for x, y in stretch)


def _area(stretch: Sequence[Point]) -> str:
    first, last = stretch[0][0], stretch[-1][0]
    return f"{_line(stretch)} L{last:.2f} {HEIGHT} L{first:.2f} {HEIGHT} Z"
