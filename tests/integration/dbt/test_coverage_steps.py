"""Coverage by the steps in which evidence goes stale is what its pieces and controls add up to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thirdsentry_pipeline.domain.evidence import EvidenceType, Verdict

if TYPE_CHECKING:
    import psycopg

    from tests.integration.dbt.coverage_rows import Tenant
    from tests.integration.dbt.dbt_command import DbtProject

pytestmark = pytest.mark.integration

AGREE = (
    "organization_coverage_agrees_with_its_controls",
    "framework_coverage_agrees_with_its_controls",
    "evidence_steps_follow_from_the_state",
)
CONNECT = """
    insert into warehouse.connections (organization_id, connection_id, account_id, role_arn,
      credential_blob, key_version, stale_after_hours, connected_at, status, deleted_at)
    select %(organization)s, md5(%(organization)s || n)::uuid, lpad(n::text, 12, '0'),
      format('arn:aws:iam::%%s:role/x', lpad(n::text, 12, '0')),
      case when is_live then ''::bytea end, case when is_live then 1 end, hours,
      now() - interval '1 hour' * age, case when is_live then 'active' else 'revoked' end,
      case when is_live then null else now() end
    from unnest(%(hours)s::integer[], %(ages)s::integer[], %(lives)s::boolean[])
      with ordinality as accounts (hours, age, is_live, n)
"""
KEEP = """
    insert into warehouse.evidence_state (organization_id, connection_id, evidence_type,
      evidence_id, verdict, fingerprint, last_ok_at, last_attempt_at, last_attempt_status)
    select %(organization)s, md5(%(organization)s || account)::uuid, evidence_type,
      case when verdict is not null then gen_random_uuid() end, verdict,
      case when verdict is not null then 'f' end,
      case when verdict is not null then now() - interval '1 hour' * age end, now(),
      case when verdict is null then 'denied' else 'ok' end
    from unnest(%(accounts)s::integer[], %(types)s::text[], %(verdicts)s::text[], %(ages)s::integer[])
      as states (account, evidence_type, verdict, age)
"""
# Hours ago, on both sides of the thresholds; few enough for several to be of one moment.
AGES = st.sampled_from([0, 1, 2, 5, 6, 7, 30, 47, 48, 49, 100])
ACCOUNTS = st.lists(
    st.fixed_dictionaries(
        {
            "hours": st.sampled_from([None, None, 1, 6, 48]),
            "age": AGES,
            "is_live": st.sampled_from([True, True, True, False]),
            "reads": st.dictionaries(
                st.sampled_from(list(EvidenceType)),
                st.tuples(st.sampled_from([None, *Verdict]), AGES),
            ),
        }
    ),
    max_size=3,
)


@pytest.fixture(scope="module")
def disagreements(coverage_project: DbtProject) -> dict[str, str]:
    """The queries of the nightly tests that hold it, which give a row for each difference."""
    coverage_project.succeed("compile", "--select", *AGREE)
    compiled = coverage_project.artifacts / "target/compiled/thirdsentry/tests"
    return {name: (compiled / f"{name}.sql").read_text() for name in AGREE}


@given(accounts=ACCOUNTS)
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_sums_by_steps_are_those_by_pieces_and_by_controls(
    tenant: Tenant,
    admin: psycopg.Connection[Any],
    disagreements: dict[str, str],
    accounts: list[dict[str, Any]],
) -> None:
    reads = [
        (number, kind.value, verdict and verdict.value, age)
        for number, account in enumerate(accounts, start=1)
        for kind, (verdict, age) in account["reads"].items()
    ]
    with admin.transaction(force_rollback=True):
        admin.execute("set local session_replication_role = replica")
        admin.execute(
            CONNECT,
            {
                "organization": tenant.organization_id,
                "hours": [account["hours"] for account in accounts],
                "ages": [account["age"] for account in accounts],
                "lives": [account["is_live"] for account in accounts],
            },
        )
        admin.execute(
            KEEP,
            {
                "organization": tenant.organization_id,
                "accounts": [read[0] for read in reads],
                "types": [read[1] for read in reads],
                "verdicts": [read[2] for read in reads],
                "ages": [read[3] for read in reads],
            },
        )
        for name, query in disagreements.items():
            assert admin.execute(query).fetchall() == [], name  # type: ignore[arg-type] # dbt's SQL
