"""``coverage_daily``: closed days, gaps included, the same however often it is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from thirdsentry_pipeline.domain.evidence import EvidenceType

pytestmark = pytest.mark.integration

HISTORY = """
    select as_of_date, control_status, evidence_fresh from coverage.coverage_daily
    where framework = 'pci_dss' and control_id = '1.4.4' order by as_of_date
"""


def midnight(days_ago: int) -> datetime:
    """The beginning (UTC) of a day."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days_ago)


def test_gap_is_days_that_say_stale_and_then_recovery(
    coverage_project, admin, tenant, pipeline_rows
):
    created = midnight(9) + timedelta(hours=1)
    admin.execute(
        "update warehouse.organizations set created_at = %s where organization_id = %s",
        (created, tenant.organization_id),
    )
    account = tenant.connect(connected_at=midnight(8) + timedelta(hours=1))
    for days_ago in (8, 3):
        tenant.observe(
            account,
            EvidenceType.S3_PUBLIC_ACCESS_BLOCK,
            midnight(days_ago) + timedelta(hours=2),
        )
    tenant.revoke(account, deleted_at=midnight(1) + timedelta(hours=12))
    # Other tests may have told these days before this organization was in them.
    admin.execute("delete from coverage.coverage_daily")
    coverage_project.succeed("build", "--select", "coverage_daily", "test_type:data")
    told = pipeline_rows(tenant.organization_id, HISTORY)
    expected = {9: "missing", 8: "passing", 7: "passing", 6: "stale", 5: "stale", 4: "stale"}
    expected |= {3: "passing", 2: "passing", 1: "missing"}
    assert told == [
        {
            "as_of_date": midnight(days_ago).date(),
            "control_status": status,
            "evidence_fresh": int(status == "passing"),
        }
        for days_ago, status in expected.items()
    ]


def test_only_the_last_three_days_are_told_again(coverage_project, admin, tenant, pipeline_rows):
    admin.execute(
        "update warehouse.organizations set created_at = %s where organization_id = %s",
        (midnight(6), tenant.organization_id),
    )
    admin.execute("delete from coverage.coverage_daily")
    coverage_project.succeed("run", "--select", "coverage_daily")
    yesterday = "select xmin::text, ctid::text from coverage.coverage_daily where as_of_date = %s"
    written = admin.execute(yesterday, (midnight(1).date(),)).fetchall()
    admin.execute(
        "update coverage.coverage_daily set evidence_fresh = 99 where as_of_date < %s",
        (midnight(1).date(),),
    )
    coverage_project.succeed("run", "--select", "coverage_daily")
    # What came out the same is not written again.
    assert admin.execute(yesterday, (midnight(1).date(),)).fetchall() == written
    told = pipeline_rows(tenant.organization_id, HISTORY)
    assert [row["evidence_fresh"] for row in told] == [99, 99, 99, 0, 0, 0]
    admin.execute("delete from coverage.coverage_daily where as_of_date >= current_date - 5")
    coverage_project.succeed("run", "--select", "coverage_daily")
    told = pipeline_rows(tenant.organization_id, HISTORY)
    assert [row["evidence_fresh"] for row in told] == [99, 0, 0, 0, 0, 0]
