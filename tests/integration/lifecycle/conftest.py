"""The laboratory of the operations tests, the command line on it, and what these tests ask often."""

import json

import pytest
from sqlalchemy import text

from tests.integration.cli.conftest import clean_database, thirdsentry
from tests.integration.operations.lab import ACCOUNT, ORGANIZATION, Lab, lab
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.operations.sync import sync_organization

__all__ = ["clean_database", "lab", "thirdsentry"]

SHUT = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)


class LivingLab(Lab):
    """Acme, and the turns that its connections take."""

    def sync(self, types=(EvidenceType.PASSWORD_POLICY,), **more):
        day = today(self.services.clock)
        return sync_organization(self.services, ORGANIZATION, day, types, "dagster-run", **more)

    def shut(self, account_id=ACCOUNT):
        """The customer takes the trust away; returns how to give it back."""
        iam = self.admin.client("iam", account_id)
        before = iam.get_role(RoleName="ThirdSentry")["Role"]["AssumeRolePolicyDocument"]
        iam.update_assume_role_policy(RoleName="ThirdSentry", PolicyDocument=SHUT)
        return lambda: iam.update_assume_role_policy(
            RoleName="ThirdSentry", PolicyDocument=json.dumps(before)
        )

    def one(self, sql, **parameters):
        (row,) = self.rows(sql, **parameters)
        return row

    def connection(self, account_id=ACCOUNT):
        return self.one(
            "select *, extract(epoch from next_attempt_at - now()) / 3600 as wait_hours"
            " from warehouse.connections where account_id = :account_id and deleted_at is null",
            account_id=account_id,
        )

    def change(self, sql, **parameters):
        """As the superuser, whom no wall stops."""
        with self.database.engine("admin").begin() as connection:
            return connection.execute(text(sql), parameters)

    def audited(self, *actions):
        return self.rows(
            "select action, connection_id, run_id, detail from warehouse.audit_log"
            " where action = any(:actions) order by organization_id, seq",
            actions=list(actions),
        )


@pytest.fixture
def acme(lab):
    """One organization without connections."""
    lab.organization()
    return LivingLab(lab.services, lab.admin, lab.database)


@pytest.fixture
def no_waits(monkeypatch):
    """Bounded retries without their pauses."""
    monkeypatch.setattr(
        "thirdsentry_pipeline.operations.interruption.Interruption.sleep",
        lambda self, _seconds: self.check(),
    )
