"""Anchors in a bucket with Object Lock, over HTTP: written once, never over, never lost."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import text

from tests.integration.audit.chains import lengthen
from thirdsentry_pipeline.aws.anchors import AnchorBucket, AnchorExistsError, AnchorRecord
from thirdsentry_pipeline.domain.errors import ConfigurationError, ThirdSentryError
from thirdsentry_pipeline.operations.audit import anchor_organization, verify_organization
from thirdsentry_pipeline.warehouse.audit import read_log

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
RECORD = AnchorRecord("a" * 24, 3, "c" * 64, NOW, NOW + timedelta(days=30))


def test_an_anchor_names_the_last_row_and_is_locked_as_long_as_the_log_is_kept(
    tenant, anchoring, admin
):
    with admin.begin() as c:
        c.execute(text("update warehouse.organizations set retention_days = 90"))
    lengthen(tenant, 3)
    with tenant.scope() as c:
        last = read_log(c, limit=1)[0]
    now = datetime.now(UTC)
    outcome = anchor_organization(
        tenant.engine, tenant.organization_id, anchoring.bucket, clock=lambda: now
    )
    assert (outcome.seq, outcome.is_new, outcome.problem) == (3, True, None)
    (version,) = anchoring.versions()
    assert version["Key"] == f"anchors/{tenant.organization_id}/{3:020d}.json"
    stored = anchoring.s3.get_object(Bucket=anchoring.bucket.name, Key=version["Key"])
    document = json.loads(stored["Body"].read())
    assert document["organization"] == tenant.organization_id
    assert (document["seq"], document["hash"]) == (3, last["row_hash"])
    assert datetime.fromisoformat(document["time"]) == now
    assert datetime.fromisoformat(document["kept_until"]) == last["occurred_at"] + timedelta(90)
    assert stored["ObjectLockMode"] == "COMPLIANCE"
    until = stored["ObjectLockRetainUntilDate"]
    assert abs(until - (now + timedelta(days=90))) < timedelta(seconds=1)


def test_a_log_that_has_not_grown_is_not_anchored_again(anchored, anchoring):
    again = anchoring.one(anchored)
    assert (again.seq, again.is_new, again.problem) == (8, False, None)
    assert len(anchoring.versions()) == 2


def test_an_empty_log_has_nothing_to_anchor(tenant, anchoring):
    (outcome,) = anchoring.all()
    assert (outcome.seq, outcome.is_new, outcome.problem) == (0, False, None)
    assert anchoring.versions() == []


def test_an_anchor_is_never_written_over(anchoring):
    anchoring.bucket.write(RECORD, locked_until=datetime.now(UTC) + timedelta(days=1))
    other = replace(RECORD, row_hash="d" * 64)
    with pytest.raises(AnchorExistsError, match="anchored already"):
        anchoring.bucket.write(other, locked_until=datetime.now(UTC) + timedelta(days=1))
    assert len(anchoring.versions()) == 1
    assert anchoring.bucket.read_all("a" * 24) == [RECORD]


def test_a_locked_anchor_is_not_deleted_for_the_platforms_own_credentials(anchored, anchoring):
    version = anchoring.versions()[0]
    with pytest.raises(ClientError, match="AccessDenied"):
        anchoring.s3.delete_object(
            Bucket=anchoring.bucket.name,
            Key=version["Key"],
            VersionId=version["VersionId"],
            BypassGovernanceRetention=True,
        )
    assert version in anchoring.versions()


@pytest.mark.parametrize("hides", ["delete marker", "later version", "both"])
def test_what_is_put_on_top_of_an_anchor_does_not_count(anchored, anchoring, hides):
    before = anchoring.bucket.read_all(anchored.organization_id)
    assert len(before) == 2
    for record in before:
        where = {"Bucket": anchoring.bucket.name, "Key": record.key}
        if hides != "later version":
            anchoring.s3.delete_object(**where)
        if hides != "delete marker":
            anchoring.s3.put_object(**where, Body=replace(record, row_hash="d" * 64).body())
    assert anchoring.bucket.read_all(anchored.organization_id) == before
    assert anchoring.bucket.organization_ids() == [anchored.organization_id]
    assert verify_organization(
        anchored.engine, anchored.organization_id, anchoring.bucket
    ).chain.is_intact
    versions = anchoring.versions()
    assert not anchoring.one(anchored).is_new
    assert anchoring.versions() == versions


def test_every_page_of_a_long_listing_is_read(anchoring):
    records = [replace(RECORD, seq=seq) for seq in range(1, 6)]
    for record in records:
        anchoring.bucket.write(record, locked_until=datetime.now(UTC) + timedelta(days=1))
    where = {"Bucket": anchoring.bucket.name, "Key": records[1].key}
    anchoring.s3.put_object(**where, Body=b"on top, and on another page than what it hides")
    anchoring.s3.meta.events.register(
        "before-parameter-build.s3.ListObjectVersions",
        lambda params, **_: params.update(MaxKeys=2),
        unique_id="two-to-a-page",
    )
    try:
        assert anchoring.bucket.read_all(RECORD.organization_id) == records
        assert anchoring.bucket.read_newest(RECORD.organization_id) == records[-1]
    finally:
        anchoring.s3.meta.events.unregister(
            "before-parameter-build.s3.ListObjectVersions", unique_id="two-to-a-page"
        )


def test_several_processes_anchor_a_row_once(tenant, anchoring):
    lengthen(tenant, 3)
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: anchoring.one(tenant), range(4)))
    assert sum(one.is_new for one in outcomes) == 1
    assert {one.seq for one in outcomes} == {3}
    assert len(anchoring.versions()) == 1


def test_each_organization_is_anchored_and_one_that_fails_costs_no_other(
    tenant, other_tenant, anchoring
):
    lengthen(tenant, 1)
    lengthen(other_tenant, 2)
    key = f"anchors/{tenant.organization_id}/{1:020d}.json"
    anchoring.s3.put_object(Bucket=anchoring.bucket.name, Key=key, Body=b"no anchor")
    failed, written = anchoring.all()
    assert failed.organization_id == tenant.organization_id
    assert key in (failed.problem or "")
    assert (written.seq, written.is_new) == (2, True)


def test_a_bucket_without_object_lock_is_refused_and_stays_empty(tenant, anchoring, s3):
    s3.create_bucket(Bucket="plain")
    lengthen(tenant, 1)
    plain = AnchorBucket(s3, "plain")
    with pytest.raises(ConfigurationError, match="THIRDSENTRY_ANCHOR_BUCKET"):
        anchor_organization(tenant.engine, tenant.organization_id, plain)
    assert "Versions" not in s3.list_object_versions(Bucket="plain")


def test_a_missing_bucket_is_said_by_its_setting(tenant, s3):
    lengthen(tenant, 1)
    missing = AnchorBucket(s3, "no-such-bucket")
    with pytest.raises(ConfigurationError, match=r"THIRDSENTRY_ANCHOR_BUCKET.*NoSuchBucket"):
        missing.read_all(tenant.organization_id)
    found = verify_organization(tenant.engine, tenant.organization_id, missing)
    assert found.chain.is_intact
    assert found.anchors is None
    assert "no-such-bucket" in (found.anchor_problem or "")


def test_a_refusal_of_s3_names_the_bucket_and_the_code(tenant, anchoring, monkeypatch):
    lengthen(tenant, 1)

    def refuse(**_):
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject")

    monkeypatch.setattr(anchoring.s3, "put_object", refuse)
    with pytest.raises(ThirdSentryError, match=rf"{anchoring.bucket.name}.*AccessDenied"):
        anchoring.one(tenant)
    (outcome,) = anchoring.all()
    assert outcome.may_help
