"""Reports and exports are of one moment, and can't write."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from thirdsentry_pipeline.domain.errors import InputError
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.report.source import at_one_moment, read_snapshot

pytestmark = pytest.mark.integration

STATUSES = text("select evidence_type, evidence_status from coverage.evidence_freshness")


def test_evidence_that_ages_while_it_is_read_is_read_again(pipeline, tenant):
    soon = datetime.now(UTC) + timedelta(seconds=1)
    connection_id = tenant.connect(hours=1)
    tenant.observe(connection_id, EvidenceType.ROOT_MFA, soon - timedelta(hours=1))
    seen = []

    def read(connection, moment):
        statuses = {row.evidence_type: row.evidence_status for row in connection.execute(STATUSES)}
        seen.append((moment, statuses["aws.iam.root_mfa"]))
        # The server waits, for no longer than the limit is away.
        connection.execute(text("select pg_sleep_until(:soon)"), {"soon": soon})
        return moment

    assert at_one_moment(pipeline, tenant.organization_id, read) == seen[-1][0]
    assert [status for _, status in seen] == ["pass", "stale"]


def test_what_is_written_meanwhile_is_not_seen(pipeline, tenant):
    def read(connection, _moment):
        before = connection.execute(STATUSES).all()
        tenant.connect()
        return before, connection.execute(STATUSES).all()

    before, after = at_one_moment(pipeline, tenant.organization_id, read)
    assert before == after == []


def test_nothing_can_be_written(pipeline, tenant):
    write = text("update warehouse.organizations set name = 'x'")
    with pytest.raises(DBAPIError, match="read-only"):
        at_one_moment(pipeline, tenant.organization_id, lambda c, _: c.execute(write))


def test_deleted_organization_is_refused(pipeline, tenant, admin):
    admin.execute(
        "update warehouse.organizations set deleted_at = now() where organization_id = %s",
        (tenant.organization_id,),
    )
    with pytest.raises(InputError, match="was deleted"):
        read_snapshot(pipeline, tenant.organization_id)


def test_snapshot_reads_the_run_and_the_newest_attempt_of_each_connection(pipeline, tenant):
    connection_id = tenant.connect(connected_at=datetime.now(UTC) - timedelta(hours=9))
    for hours, status in ((3, "ok"), (2, "ok"), (1, "denied")):
        tenant.observe(
            connection_id,
            EvidenceType.ROOT_MFA,
            datetime.now(UTC) - timedelta(hours=hours),
            read_status=status,
        )
    snapshot = read_snapshot(pipeline, tenant.organization_id)
    (root,) = [one for one in snapshot.evidence if one.evidence_type == "aws.iam.root_mfa"]
    assert root.evidence_status == "pass"
    assert (root.last_attempt_status, root.last_error_code) == ("denied", "denied")
    assert root.observed_at == root.last_ok_at
    assert root.is_recomputed is True
    newest, used = snapshot.runs
    assert (newest.status, used.run_id) == ("failed", root.run_id)
