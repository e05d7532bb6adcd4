"""The page that people copy from: its queries run in every client, its list of marts is whole."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from tests.integration.dbt.test_coverage_schema import MARTS

pytestmark = [
    pytest.mark.integration,
    # ADBC hands numeric over as text, and nanoarrow says so.
    pytest.mark.filterwarnings("ignore:.*Converting unregistered extension"),
]

PAGE = (Path(__file__).resolve().parents[3] / "docs/bi.md").read_text()
CHARTS = dict(
    re.findall(r"^### ([^\n]+)\n[^#]*?^```sql\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
)


def test_page_has_five_charts_and_a_line_for_every_mart():
    assert list(CHARTS) == [
        "Frameworks now",
        "Coverage over time",
        "Controls by status",
        "What needs work",
        "Risk by account",
    ]
    assert len(CHARTS) == PAGE.count("```sql")
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| `.*?\|", PAGE, re.MULTILINE)))
    assert sorted(named) == sorted(MARTS)


@pytest.mark.parametrize("chart", CHARTS)
def test_chart_shows_the_organization_s_rows_in_every_client(
    client, coverage_project, readers, chart
):
    rows = client.rows(CHARTS[chart])
    assert rows
    # What the pipeline sees inside the organization's scope is what the reader must see.
    with psycopg.connect(coverage_project.database.pipeline_url) as connection:
        connection.execute(
            "select set_config('app.organization_id', %s, true)", (readers[0].organization_id,)
        )
        expected = connection.execute(CHARTS[chart])
        assert list(rows[0]) == [column.name for column in expected.description]
        keys = [str(row[0]) for row in expected]
    assert [str(next(iter(row.values()))) for row in rows] == keys


def test_charts_say_what_the_rows_mean(readers):
    """Four days old and then two failing reads: nothing passes, and each chart says so."""
    with psycopg.connect(readers[0].url) as connection:
        charts = {name: connection.execute(query).fetchall() for name, query in CHARTS.items()}
    assert {row[1] for row in charts["Frameworks now"]} == {0}
    assert {row[1] for row in charts["Controls by status"]} == {"failing", "stale"}
    days = {row[0] for row in charts["Coverage over time"]}
    assert len(days) >= 4
    statuses = [row[2] for row in charts["What needs work"]]
    assert statuses == ["fail", "fail", *["stale"] * 5]
    ((_, root, percent, people, findings, is_fresh, *_),) = charts["Risk by account"]
    assert (root, float(percent), people, findings, is_fresh) == ("pass", 50, 1, 1, False)
