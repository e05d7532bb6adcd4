"""`sync` through Dagster and the marts it fills, from the command line."""

import pytest
from sqlalchemy import text

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION

SECOND_ACCOUNT = "222222222222"
TRAIL = "aws.cloudtrail.multi_region_logging"


def sync(thirdsentry, *more):
    return thirdsentry("sync", "--organization", ORGANIZATION, "--json", *more)


def test_second_sync_brings_the_same_fingerprints_and_nothing_new(thirdsentry, lab):
    lab.organization()
    lab.connected()
    first, second = sync(thirdsentry), sync(thirdsentry)
    assert (first.code, second.code) == (0, 0)
    assert first.document["status"] == "succeeded"
    (before,) = first.document["connections"]
    (after,) = second.document["connections"]
    assert before["account_id"] == ACCOUNT
    assert len(before["evidence"]) == 7
    assert all(read["is_new"] for read in before["evidence"].values())
    assert not any(read["is_new"] for read in after["evidence"].values())
    fingerprints = [
        {kind: read["fingerprint"] for kind, read in one["evidence"].items()}
        for one in (before, after)
    ]
    assert fingerprints[0] == fingerprints[1]
    assert before["run_id"] != after["run_id"]


def test_only_collects_the_named_types(thirdsentry, lab):
    lab.organization()
    lab.connected()
    outcome = sync(thirdsentry, "--only", "aws.iam.root_mfa", "--only", TRAIL)
    assert set(outcome.document["connections"][0]["evidence"]) == {"aws.iam.root_mfa", TRAIL}


def test_denied_service_is_exit_3_and_leaves_six_types_fresh(thirdsentry, lab):
    lab.organization()
    lab.connected()
    lab.admin.inject_fault(ACCOUNT, action="cloudtrail:*", error_code="AccessDeniedException")
    outcome = sync(thirdsentry)
    assert outcome.code == 3
    assert outcome.document["status"] == "partial"
    read = outcome.document["connections"][0]["evidence"][TRAIL]
    assert read["read_status"] == "denied"
    assert read["error_code"] == "denied"
    assert read["fingerprint"] is None
    rows = thirdsentry("evidence", "--organization", ORGANIZATION, "--json").document
    assert {row["evidence_type"] for row in rows if not row["is_fresh"]} == {TRAIL}
    one = thirdsentry("evidence", "--organization", ORGANIZATION, "--type", TRAIL, "--json")
    assert [row["last_error_code"] for row in one.document] == ["denied"]


def test_one_account_that_does_not_open_is_exit_3(thirdsentry, lab):
    lab.organization()
    lab.connected()
    lab.connected(account_id=SECOND_ACCOUNT)
    lab.admin.client("iam", SECOND_ACCOUNT).delete_role_policy(
        RoleName="ThirdSentry", PolicyName="ThirdSentryRead"
    )
    lab.admin.client("iam", SECOND_ACCOUNT).delete_role(RoleName="ThirdSentry")
    outcome = sync(thirdsentry)
    assert outcome.code == 3
    good, bad = outcome.document["connections"]
    assert good["status"] == "succeeded"
    assert (bad["status"], bad["error_code"], bad["evidence"]) == (
        "failed",
        "assume_role_denied",
        {},
    )
    health = thirdsentry("status", "--organization", ORGANIZATION, "--json").document
    assert {row["account_id"]: row["status"] for row in health} == {
        ACCOUNT: "active",
        SECOND_ACCOUNT: "needs_reauth",
    }


def test_nothing_read_is_exit_1_with_its_document(thirdsentry, lab):
    lab.organization()
    lab.connected()
    lab.admin.inject_fault(ACCOUNT, action="*", error_code="AccessDenied")
    outcome = sync(thirdsentry)
    assert outcome.code == 1
    assert outcome.document["status"] == "failed"
    assert outcome.document["dagster_run_id"]


@pytest.mark.usefixtures("warm_dbt_program")
def test_coverage_tells_why_a_control_is_not_passing(thirdsentry, lab):
    lab.organization()
    lab.connected()
    sync(thirdsentry)
    with lab.database.engine("admin").begin() as admin:
        # As in a new warehouse: the command builds what is missing.
        admin.execute(text("drop view coverage.organization_coverage"))
    asked = ("coverage", "--organization", ORGANIZATION)
    rows = thirdsentry(*asked, "--framework", "cis_aws", "--json").document
    assert lab.value("select to_regclass('coverage.organization_coverage') is not null")
    assert {row["framework"] for row in rows} == {"cis_aws"}
    control = next(row for row in rows if row["control_id"] == "4.1")
    assert control["control_status"] == "failing"
    assert control["reason"] == f"{ACCOUNT}: no CloudTrail trail"
    table = thirdsentry(*asked)
    assert table.code == 0
    assert "failing" in table.out
    assert thirdsentry(*asked, "--framework", "iso_9001").code == 2
