"""Writing into another organization, pointing into it, and asking by what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.integration.tenancy.attacks import (
    Attempt,
    carry_out,
    filled_in,
    harmless,
    judge,
    refused,
    table_of,
)
from tests.integration.warehouse.conftest import ACCOUNT

if TYPE_CHECKING:
    from tests.integration.tenancy.town import Town

pytestmark = pytest.mark.integration

MISSING_KEY = "23503"
FOR_THE_VICTIM = {
    "a_name_for_the_victim": refused(
        "pipeline",
        "insert into warehouse.organizations (organization_id, name) values ('<victim>', 'x')",
    ),
    "a_name_if_it_is_free": refused(
        "pipeline",
        "insert into warehouse.organizations (organization_id, name) values ('<victim>', 'x')"
        " on conflict do nothing",
    ),
    "a_name_instead_of_the_old": refused(
        "pipeline",
        "insert into warehouse.organizations (organization_id, name) values ('<victim>', 'x')"
        " on conflict (organization_id) do update set name = 'x' returning *",
    ),
    "a_key_for_the_victim": refused(
        "pipeline",
        "insert into warehouse.organization_data_keys values ('<victim>', 9, 'k', 'w')",
    ),
    "a_pending_id_for_the_victim": refused(
        "pipeline",
        "insert into warehouse.pending_external_ids values ('<victim>', 'w', 1)"
        " on conflict (organization_id) do update set credential_blob = 'w'",
    ),
    "a_run_for_the_victim": refused(
        "pipeline",
        "insert into warehouse.connector_runs (organization_id, run_id, connection_id,"
        " account_id, partition_day, dagster_run_id) values ('<victim>', gen_random_uuid(),"
        f" '<victims_connection>', '{ACCOUNT}', current_date, 'd')",
    ),
    "an_observation_for_the_victim": refused(
        "pipeline",
        "insert into warehouse.evidence_observations (organization_id, run_id, connection_id,"
        " evidence_type, read_status, error_code)"
        " values ('<victim>', '<victims_run>', '<victims_connection>', 'aws.x', 'error', 'bug')",
    ),
    "a_log_row_for_the_victim": refused(
        "pipeline",
        "insert into warehouse.audit_log (organization_id, actor, action)"
        " values ('<victim>', 'a', 'revoke')",
    ),
    "an_alert_for_the_victim": refused(
        "pipeline",
        "insert into warehouse.alerts (organization_id, kind, episode_key)"
        " values ('<victim>', 'stale', 'x') on conflict do nothing",
    ),
    "a_copy_past_the_policies": refused(
        "pipeline", "copy warehouse.organizations (organization_id, name) from stdin", by="0A000"
    ),
    "an_update_by_id": harmless(
        "pipeline",
        "update warehouse.connections set status = 'needs_reauth'"
        " where connection_id = '<victims_connection>' returning *",
        gives=[],
    ),
    "a_merge_by_id": harmless(
        "pipeline",
        "merge into warehouse.evidence_state as s using (select '<victims_connection>'::uuid as id)"
        " as w on s.connection_id = w.id when matched then update set last_error_code = 'bug'"
        " returning s.*",
        gives=[],
    ),
    "a_delete_of_an_attachment": harmless(
        "pipeline",
        "delete from warehouse.assessment_evidence"
        " where assessment_id = '<victims_assessment>' returning *",
        gives=[],
    ),
    "a_row_moved_to_the_victim": refused(
        "pipeline", "update warehouse.connections set organization_id = '<victim>'"
    ),
    "evidence_deleted": refused("pipeline", "delete from warehouse.evidence"),
    "evidence_truncated": refused("pipeline", "truncate warehouse.evidence cascade"),
    "a_head_moved": refused("pipeline", "update warehouse.audit_heads set seq = 0"),
    "a_log_row_with_its_own_time": refused(
        "pipeline",
        "insert into warehouse.audit_log (actor, action, occurred_at) values ('a', 'revoke', now())",
    ),
    "a_log_row_that_says_pruned": refused(
        "pipeline",
        "insert into warehouse.audit_log (actor, action) values ('a', 'retention_checkpoint')",
    ),
    "a_write_as_reader": refused("bi", "update warehouse.organizations set name = 'x'"),
    "a_write_as_auditor": refused(
        "auditor", "insert into warehouse.audit_log (actor, action) values ('a', 'revoke')"
    ),
    "a_write_as_dbt": refused("transform", "update warehouse.evidence_state set verdict = 'pass'"),
    "a_table_in_the_warehouse": refused("transform", "create table warehouse.mine (x int)"),
    "a_table_in_coverage": refused("bi", "create table coverage.mine (x int)"),
    "a_table_in_public": refused("bi", "create table public.mine (x int)"),
    "a_schema": refused("pipeline", "create schema mine"),
    "a_temporary_table_as_reader": refused("bi", "create temporary table mine (x int)"),
}  # fmt: skip
INTO_THE_VICTIM = {
    "a_run_of_their_connection": (
        "insert into warehouse.connector_runs (run_id, connection_id, account_id,"
        " partition_day, dagster_run_id) values (gen_random_uuid(), '<victims_connection>',"
        f" '{ACCOUNT}', current_date, 'd')"
    ),
    "an_observation_of_their_run": (
        "insert into warehouse.evidence_observations (run_id, connection_id, evidence_type,"
        " read_status, error_code)"
        " values ('<victims_run>', '<victims_connection>', 'aws.x', 'error', 'bug')"
    ),
    "a_state_of_their_connection": (
        "insert into warehouse.evidence_state (connection_id, evidence_type, last_attempt_at,"
        " last_attempt_status) values ('<victims_connection>', 'aws.x', now(), 'error')"
    ),
    "a_log_row_about_their_connection": (
        "insert into warehouse.audit_log (actor, action, connection_id)"
        " values ('a', 'revoke', '<victims_connection>')"
    ),
    "an_alert_about_their_connection": (
        "insert into warehouse.alerts (kind, episode_key, connection_id)"
        " values ('stale', 'z', '<victims_connection>')"
    ),
    "an_attachment_of_their_evidence": (
        "insert into warehouse.assessment_evidence (assessment_id, evidence_id, attached_by)"
        " select assessment_id, '<victims_evidence>', 'a' from warehouse.assessments"
    ),
    "an_attachment_to_their_assessment": (
        "insert into warehouse.assessment_evidence (assessment_id, evidence_id, attached_by)"
        " select '<victims_assessment>', evidence_id, 'a' from warehouse.evidence limit 1"
    ),
}


@table_of(FOR_THE_VICTIM)
def test_no_login_writes_for_another_organization(town: Town, attempt: Attempt) -> None:
    judge(town, attempt)


@pytest.mark.parametrize("statement", INTO_THE_VICTIM.values(), ids=list(INTO_THE_VICTIM))
def test_no_row_points_into_another_organization(town: Town, statement: str) -> None:
    """And the refusal is the same for what the victim has and for what nobody has."""
    attempt = refused("pipeline", statement, by=MISSING_KEY)
    theirs = judge(town, attempt)
    invented = {key: str(uuid4()) for key in ("connection", "run", "evidence", "assessment")}
    written, _ = filled_in(town, attempt)
    text = written.statements[0]
    for name, made_up in invented.items():
        text = text.replace(town.facts[name], made_up)
    nobodys = carry_out(town, Attempt("pipeline", (text,)))
    said = nobodys.text
    for name, made_up in invented.items():
        said = said.replace(made_up, town.facts[name])
    assert (nobodys.sqlstate, said) == (theirs.sqlstate, theirs.text)


def test_no_unique_key_tells_what_another_organization_has(town: Town) -> None:
    """Each of these keys is taken in the victim's organization, and free in the attacker's."""
    with town.connect("admin") as admin:
        canonical, arn = admin.execute(
            "select payload_canonical, role_arn from warehouse.evidence"
            " join warehouse.connections using (organization_id, connection_id)"
            " where fingerprint = %s",
            (town.facts["fingerprint"],),
        ).fetchone() or ("", "")
    account = arn.split(":")[4]
    fresh = [
        (
            "update warehouse.connections set status = 'revoked', deleted_at = now(),"
            " credential_blob = null, key_version = null"
        ),
        (
            "insert into warehouse.connections (connection_id, account_id, role_arn, credential_blob,"
            f" key_version) values ('<victims_connection>', '{account}', '{arn}', 'b', 1)"
        ),
        (
            "insert into warehouse.connector_runs (run_id, connection_id, account_id, partition_day,"
            f" dagster_run_id) values ('<victims_run>', '<victims_connection>', '{account}',"
            " current_date, 'd')"
        ),
        (
            "insert into warehouse.evidence (evidence_id, connection_id, account_id, evidence_type,"
            " subject, verdict, fingerprint, payload, payload_canonical, schema_version, first_run_id)"
            f" values ('<victims_evidence>', '<victims_connection>', '{account}', 'aws.x', 's', 'pass',"
            f" '<victims_fingerprint>', '{{}}', '{canonical}', 1, '<victims_run>')"
        ),
        (
            "insert into warehouse.assessments (assessment_id, title, created_by)"
            " values ('<victims_assessment>', 't', 'a')"
        ),
        "insert into warehouse.alerts (kind, episode_key) values ('stale', 'of <victims_name>')",
        "rollback",  # the town is shared: what the attacker wrote must not stay
        "select 'all of them were free'",
    ]
    seen = judge(town, harmless("pipeline", *fresh, gives=[("all of them were free",)]))
    assert seen.sqlstate is None


def test_a_refusal_does_not_repeat_the_row_it_refused(town: Town) -> None:
    """A message with the whole row would show what the statement itself only pointed at."""
    seen = judge(
        town,
        refused(
            "pipeline",
            "insert into warehouse.alerts (kind, episode_key, detail) values ('none', 'x', '{}')",
            by="23514",
        ),
    )
    assert "Failing row" not in seen.text
