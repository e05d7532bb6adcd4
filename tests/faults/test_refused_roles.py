"""Faults 19, 21, 22 through the whole sync: over HTTP, into Postgres, with alerts."""

import pytest

from tests.faults.town import OTHER_ACCOUNT, settle, sync
from tests.integration.operations.lab import ACCOUNT, ORGANIZATION, OTHER_ORGANIZATION
from tests.waiting import retry_at_once
from thirdsentry_pipeline.aws import role_session
from thirdsentry_pipeline.operations.alerts import evaluate_alerts

pytestmark = pytest.mark.integration

ROLE = "ThirdSentry"
MINE = "where organization_id = :organization"
OBSERVATIONS = f"select count(*) from warehouse.evidence_observations {MINE}"
AUDITED = f"select count(*) from warehouse.audit_log {MINE} and action = 'sync_failed'"
ALERTS = f"select kind from warehouse.alerts {MINE} order by kind"
STATUS = f"select status from warehouse.connections {MINE}"
LAST_RUN = f"""
    select status, error_code from warehouse.connector_runs {MINE}
    order by started_at desc limit 1
"""


@pytest.fixture
def lab(lab, monkeypatch):
    """Two connected organizations that were read once; retries without their pauses."""
    monkeypatch.setattr(role_session, "_RETRY_PAUSES", (0.0,) * 4)
    retry_at_once(monkeypatch)
    settle(lab, ROLE)
    return lab


def with_another_external_id(lab):
    trust = lab.admin.client("iam", ACCOUNT).get_role(RoleName=ROLE)["Role"]
    policy = trust["AssumeRolePolicyDocument"]
    (statement,) = policy["Statement"]
    statement["Condition"] = {"StringEquals": {"sts:ExternalId": "of-somebody-else"}}
    lab.admin.create_role(ACCOUNT, ROLE, policy)


def without_the_role(lab):
    iam = lab.admin.client("iam", ACCOUNT)
    for name in iam.list_role_policies(RoleName=ROLE)["PolicyNames"]:
        iam.delete_role_policy(RoleName=ROLE, PolicyName=name)
    iam.delete_role(RoleName=ROLE)


def with_another_account_behind_it(lab):
    lab.admin.set_identity(ACCOUNT, "999988887777")


REFUSALS = {
    "another external id": (with_another_external_id, "assume_role_denied", "needs_reauth"),
    "no role": (without_the_role, "assume_role_denied", "needs_reauth"),
    "another account": (with_another_account_behind_it, "account_mismatch", "active"),
}


@pytest.mark.fault(22)
@pytest.mark.parametrize("way", REFUSALS)
def test_a_role_that_does_not_open_writes_no_observation_and_says_so_once(lab, way):
    spoil, code, status = REFUSALS[way]
    mine = {"organization": ORGANIZATION}
    before = lab.value(OBSERVATIONS, **mine)
    spoil(lab)
    # What may pass by itself is told with the second run in a row.
    runs = 1 if status == "needs_reauth" else 2
    for _ in range(runs):
        (one,) = sync(lab).connections
        assert (one.error_code, one.evidence) == (code, {})
    assert lab.value(OBSERVATIONS, **mine) == before
    assert lab.rows(LAST_RUN, **mine) == [{"status": "failed", "error_code": code}]
    assert lab.value(STATUS, **mine) == status
    assert lab.value(AUDITED, **mine) == runs
    for _ in range(2):
        evaluate_alerts(lab.services.pipeline, lab.services.scheduler, [])
    kind = "needs_reauth" if status == "needs_reauth" else "sync_failed"
    assert [row["kind"] for row in lab.rows(ALERTS, **mine)] == [kind]
    assert sync(lab, OTHER_ORGANIZATION).status == "succeeded"
    assert lab.rows(ALERTS, organization=OTHER_ORGANIZATION) == []


@pytest.mark.fault(19, 21)
def test_one_organization_throttled_or_denied_costs_the_other_nothing(lab):
    lab.admin.inject_fault(ACCOUNT, error_code="ThrottlingException", action="*:[GL]*")
    assert sync(lab).status == "failed"
    assert sync(lab, OTHER_ORGANIZATION).status == "succeeded"
    reached = lab.admin.calls(account_id=OTHER_ACCOUNT)
    assert reached
    lab.admin.clear_faults()
    lab.admin.inject_fault(ACCOUNT, "eu-west-1", "guardduty:ListDetectors", "AccessDenied")
    lab.admin.inject_fault(
        ACCOUNT, None, "s3:GetAccountPublicAccessBlock", message="x with an explicit deny in a "
        "service control policy",
    )  # fmt: skip
    (one,) = sync(lab).connections
    unread = {
        kind: (result.read_status, result.error_code, result.regions_unread)
        for kind, result in one.evidence.items()
        if result.error_code is not None
    }
    assert unread == {
        "aws.guardduty.status": ("ok", "denied", ("eu-west-1",)),
        "aws.guardduty.high_severity_findings": ("partial", "denied", ("eu-west-1",)),
        "aws.s3.account_public_access_block": ("denied", "denied_by_scp", ()),
    }
    lab.admin.clear_faults()
    assert sync(lab).status == "succeeded"
