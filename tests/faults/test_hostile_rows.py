"""Fault 24 down to the rows: hostile answers through the whole sync into Postgres.

The role is opened by the sandbox once, to connect; what it opens is then the line to hostile
answers of ``answers/``. After each one the rows must be what was said, and what was said proven.
"""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.faults.answers import documents
from tests.faults.answers.account import Account, whole
from tests.faults.answers.case import Laboratory, cases, check
from tests.faults.answers.documents import EXPECTED
from tests.faults.answers.endpoint import ACCOUNT, open_session
from tests.faults.town import sync
from thirdsentry_pipeline.operations import sync_connection
from thirdsentry_pipeline.operations.alerts import evaluate_alerts

pytestmark = pytest.mark.integration

# A case spoils six answers or so; so few are drawn for certain that the long part has its 1,000.
CASES_QUICK, CASES_LONG, ANSWERS_PER_CASE = 12, 250, 4
ROWS = """
    select o.evidence_type, e.verdict, o.error_code, o.source_generated_at, e.payload
    from warehouse.evidence_observations as o
    left join warehouse.evidence as e using (organization_id, evidence_id)
    where o.run_id = :run
"""


class DownToTheRows(Laboratory):
    """Collects an account by a sync, and holds the sync's rows against what was collected."""

    def __init__(self, lab):
        super().__init__()
        self.lab = lab
        self.collected = None

    def collect(self, account):
        def collect_here(_session, types, **_):
            with self.open():
                self.collected = super(DownToTheRows, self).collect(account, types)
            return self.collected

        with pytest.MonkeyPatch.context() as line:
            opened = open_session(self._platform)
            line.setattr(sync_connection, "open_role_session", lambda *_, **__: nullcontext(opened))
            line.setattr(sync_connection, "collect_account", collect_here)
            (done,) = sync(self.lab).connections
        assert done.evidence, f"nothing was written: {done.error_code}"
        written = {row["evidence_type"]: row for row in self.lab.rows(ROWS, run=done.run_id)}
        assert set(written) == set(self.collected.readings)
        for kind, reading in self.collected.readings.items():
            row = written[kind]
            assert row["verdict"] == reading.verdict
            assert row["error_code"] == reading.error_code
            assert row["source_generated_at"] == reading.source_generated_at
            assert (row["payload"] is None) == (reading.verdict is None)
        return self.collected


def with_a_nul():
    """An account whose trail says something that no row can hold."""
    made = Account(dict.fromkeys(EXPECTED, "good"))
    key = ("cloudtrail.GetTrailStatus", None, None)
    (status,) = made.documents[key]
    made.spoil(key, 0, whole(key[0], {**status, "LatestDeliveryError": "a\x00b"}))
    return made


@pytest.mark.fault(24)
def test_hostile_answers_become_the_rows_that_they_prove(
    lab, pytestconfig, monkeypatch, record_property
):
    now = datetime.now(UTC) - timedelta(hours=1)
    monkeypatch.setattr(documents, "TIME", f"{now:%Y-%m-%dT%H:%M:%SZ}")
    lab.organization()
    lab.connected(account_id=ACCOUNT)
    # From here on the account's end of the line is not the sandbox.
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    laboratory = DownToTheRows(lab)
    count = CASES_LONG if pytestconfig.getoption("--long") else CASES_QUICK

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @seed(0)
    @given(cases())
    def hold(case):
        check(laboratory, *case)

    check(laboratory, with_a_nul(), {"trail"})
    hold()
    assert laboratory.answers >= count * ANSWERS_PER_CASE
    record_property("answers", laboratory.answers)
    # A report may say that it is days old: what is stale has to be told before the invariants look.
    evaluate_alerts(lab.services.pipeline, lab.services.scheduler, [])
