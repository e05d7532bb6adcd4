"""A role that no longer opens: bounded retries, ever longer waits, and the ways back."""

import pytest
from dagster import build_schedule_context

from tests.integration.operations.lab import ACCOUNT, ORGANIZATION, OTHER_ORGANIZATION
from thirdsentry_pipeline.assets.evidence_results import may_retry, type_outcome
from thirdsentry_pipeline.definitions import defs
from thirdsentry_pipeline.domain.errors import InputError, RunFailedError, ThirdSentryError
from thirdsentry_pipeline.domain.evidence import ErrorCode, EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations import sync_connection
from thirdsentry_pipeline.operations.connecting import connect, reauth
from thirdsentry_pipeline.operations.onboarding import onboard
from thirdsentry_pipeline.operations.sync_results import SyncStatus
from thirdsentry_pipeline.partitions import ORGANIZATIONS, partition_key
from thirdsentry_pipeline.warehouse.scope import live_organization_ids

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_waits")]

OTHER_ACCOUNT = "222222222222"
POLICY = EvidenceType.PASSWORD_POLICY
MINE = "select connection_id, status from warehouse.connections where organization_id = :mine"


@pytest.fixture
def refused(acme):
    """A connection whose role was refused in its last sync; ``acme.open`` opens it again."""
    acme.connected()
    acme.open = acme.shut()
    acme.sync()
    return acme


def tries(acme):
    return len(acme.admin.calls(action="sts:AssumeRole"))


def test_a_closed_role_is_tried_five_times_at_most_and_then_waits(acme):
    connection_id = acme.connected()
    acme.shut()
    acme.admin.clear_calls()
    outcome = acme.sync()
    assert outcome.error_code is ErrorCode.ASSUME_ROLE_DENIED
    assert 1 < tries(acme) <= 5
    assert acme.connection()["status"] == "needs_reauth"
    assert acme.value("select count(*) from warehouse.evidence_observations") == 0
    (failed,) = acme.audited("sync_failed")
    assert failed["connection_id"] == connection_id
    assert failed["detail"]["error_code"] == "assume_role_denied"


def test_each_refusal_doubles_the_wait_up_to_eight_days(acme):
    acme.connected()
    acme.shut()
    hours = []
    for _ in range(5):
        acme.sync()
        hours.append(round(acme.connection()["wait_hours"]))
    assert hours == [23, 47, 95, 191, 191]


def test_a_scheduled_sync_leaves_a_waiting_connection_alone(refused):
    runs = refused.value("select count(*) from warehouse.connector_runs")
    refused.admin.clear_calls()
    outcome = refused.sync(due_only=True)
    assert tries(refused) == 0
    assert refused.value("select count(*) from warehouse.connector_runs") == runs
    (waiting,) = outcome.connections
    assert (waiting.run_id, waiting.error_code) == (None, ErrorCode.ASSUME_ROLE_DENIED)
    assert "not tried before" in waiting.sentence()
    assert not may_retry(outcome)


def test_a_waiting_account_leaves_the_partition_missing(refused):
    refused.connected(account_id=OTHER_ACCOUNT)
    outcome = refused.sync(due_only=True)
    assert outcome.status is SyncStatus.PARTIAL
    assert [one.status for one in outcome.connections] == [SyncStatus.FAILED, SyncStatus.SUCCEEDED]
    assert not type_outcome(outcome, POLICY, utc_now()).is_read


def test_a_person_who_syncs_has_a_waiting_connection_tried(refused):
    refused.admin.clear_calls()
    refused.sync()
    assert tries(refused) > 1


def test_once_the_wait_is_over_the_schedule_tries_again(refused):
    due = ("update warehouse.connections set next_attempt_at = now() - interval '1 minute'",)
    assert live_organization_ids(refused.services.scheduler, "due") == []
    refused.change(*due)
    assert live_organization_ids(refused.services.scheduler, "due") == [ORGANIZATION]
    refused.admin.clear_calls()
    refused.sync(due_only=True)
    assert tries(refused) > 1
    assert round(refused.connection()["wait_hours"]) == 47


def test_the_schedule_requests_no_run_for_those_who_wait(installation, refused):
    refused.organization(OTHER_ORGANIZATION, "Globex")
    refused.connected(OTHER_ORGANIZATION, OTHER_ACCOUNT)
    repository = defs.get_repository_def()
    schedule = repository.get_schedule_def("aws_evidence_daily")
    with (
        installation.instance() as instance,
        build_schedule_context(
            instance=instance,
            scheduled_execution_time=utc_now(),
            resources={"warehouse": defs.resources["warehouse"]},
            repository_def=repository,
        ) as context,
    ):
        (request,) = schedule.evaluate_tick(context).run_requests
    assert request.tags["thirdsentry/organization"] == OTHER_ORGANIZATION


@pytest.mark.parametrize(("tags", "tried"), [({"dagster/schedule_name": "x"}, False), ({}, True)])
def test_a_run_of_the_schedule_honours_the_wait(installation, refused, tags, tried):
    refused.admin.clear_calls()
    with installation.instance() as instance:
        instance.add_dynamic_partitions(ORGANIZATIONS, [ORGANIZATION])
        defs.get_job_def("aws_evidence").execute_in_process(
            instance=instance,
            partition_key=partition_key(today(utc_now), ORGANIZATION),
            tags=tags,
            raise_on_error=False,
        )
    assert (tries(refused) > 0) is tried


def test_a_sync_that_opens_the_role_makes_the_connection_active_in_its_own_transaction(refused):
    refused.open()
    assert refused.sync().status is SyncStatus.SUCCEEDED
    connection = refused.connection()
    assert (connection["status"], connection["failed_attempts"]) == ("active", 0)
    assert connection["next_attempt_at"] is None
    (audited,) = refused.audited("sync")
    assert audited["detail"]["reactivated"] is True
    refused.sync()
    assert "reactivated" not in refused.audited("sync")[-1]["detail"]


def test_reauth_brings_it_back_with_the_stored_values(refused):
    identity = str(refused.connection()["connection_id"])
    with pytest.raises(RunFailedError):
        reauth(refused.services, ORGANIZATION, identity)
    assert refused.connection()["status"] == "needs_reauth"
    refused.open()
    reauth(refused.services, ORGANIZATION, identity)
    connection = refused.connection()
    assert (connection["status"], connection["next_attempt_at"]) == ("active", None)
    assert len(refused.audited("reauth")) == 1
    assert refused.sync(due_only=True).status is SyncStatus.SUCCEEDED


def test_reauth_takes_a_new_role_of_the_same_account_and_claims_it(refused):
    identity = str(refused.connection()["connection_id"])
    iam = refused.admin.client("iam", ACCOUNT)
    refused.open()
    trust = iam.get_role(RoleName="ThirdSentry")["Role"]["AssumeRolePolicyDocument"]
    arn = refused.admin.create_role(ACCOUNT, "Successor", trust)
    reauth(refused.services, ORGANIZATION, identity, role_arn=arn)
    assert refused.connection()["role_arn"] == arn
    refused.organization(OTHER_ORGANIZATION, "Globex")
    rival = str(refused.connected(OTHER_ORGANIZATION, OTHER_ACCOUNT))
    with pytest.raises(InputError, match=ACCOUNT):
        reauth(refused.services, OTHER_ORGANIZATION, rival, role_arn=arn)
    taken = f"arn:aws:iam::{OTHER_ACCOUNT}:role/ThirdSentry"
    with pytest.raises(InputError, match="not"):
        reauth(refused.services, ORGANIZATION, identity, role_arn=taken)


def test_reauth_refuses_a_role_that_another_organization_claimed(refused):
    refused.organization(OTHER_ORGANIZATION, "Globex")
    trust = onboard(refused.services, OTHER_ORGANIZATION).trust_policy
    theirs = refused.admin.create_role(ACCOUNT, "Theirs", trust)
    connect(refused.services, OTHER_ORGANIZATION, theirs)
    identity = str(refused.rows(MINE, mine=ORGANIZATION)[0]["connection_id"])
    with pytest.raises(ThirdSentryError, match="Another organization uses this role ARN") as error:
        reauth(refused.services, ORGANIZATION, identity, role_arn=theirs)
    assert OTHER_ORGANIZATION not in str(error.value)
    assert refused.rows(MINE, mine=ORGANIZATION)[0]["status"] == "needs_reauth"


def test_a_sync_that_tried_the_former_id_does_not_undo_a_reauth(acme, monkeypatch):
    identity = str(acme.connected())
    openly = acme.shut()
    opened = sync_connection.open_role_session

    def reauthenticated_meanwhile(*arguments, **more):
        try:
            return opened(*arguments, **more)
        except RunFailedError:
            openly()
            reauth(acme.services, ORGANIZATION, identity)
            raise

    monkeypatch.setattr(sync_connection, "open_role_session", reauthenticated_meanwhile)
    assert acme.sync().error_code is ErrorCode.ASSUME_ROLE_DENIED
    assert acme.connection()["status"] == "active"
