"""Services on a clean warehouse and an empty sandbox, and organizations in named states."""

from dataclasses import dataclass
from uuid import UUID

import pytest
from sqlalchemy import text

from thirdsentry_pipeline.aws import role_session
from thirdsentry_pipeline.aws.kms import TenantKeys
from thirdsentry_pipeline.aws.sessions import PlatformAws
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.operations.connecting import connect
from thirdsentry_pipeline.operations.onboarding import onboard
from thirdsentry_pipeline.operations.services import Services
from thirdsentry_pipeline.warehouse.organizations import add_organization
from thirdsentry_pipeline.warehouse.scope import organization_scope

ORGANIZATION = "65f0a1b2c3d4e5f6a7b8c9d0"
OTHER_ORGANIZATION = "65f0a1b2c3d4e5f6a7b8c9d1"
ACCOUNT = "111111111111"
REGIONS = ("us-east-1", "eu-west-1")


@dataclass
class Lab:
    """What a test needs to seed and to look: the sandbox, the warehouse, the services."""

    services: Services
    admin: object
    database: object

    def organization(self, organization_id=ORGANIZATION, name="Acme"):
        with organization_scope(self.services.pipeline, organization_id) as connection:
            add_organization(connection, organization_id, name)
        return organization_id

    def role(self, organization_id=ORGANIZATION, account_id=ACCOUNT, trust=None):
        made = onboard(self.services, organization_id)
        self.admin.set_regions(account_id, REGIONS)
        # AWS takes a moment to make a report; only tests of that wait for it.
        self.admin.set_credential_report(account_id, polls=0)
        return self.admin.create_role(
            account_id, "ThirdSentry", trust or made.trust_policy, made.permission_policy
        )

    def connected(self, organization_id=ORGANIZATION, account_id=ACCOUNT) -> UUID:
        arn = self.role(organization_id, account_id)
        return connect(self.services, organization_id, arn).connection_id

    def rows(self, sql, **parameters):
        """Rows as the superuser sees them: row security hides leaks."""
        with self.database.engine("admin").connect() as connection:
            return [dict(row) for row in connection.execute(text(sql), parameters).mappings()]

    def value(self, sql, **parameters):
        (row,) = self.rows(sql, **parameters)
        (value,) = row.values()
        return value


def lab_on(database, sandbox, environment):
    """The laboratory on a warehouse and a sandbox; the process's environment names the sandbox."""
    platform = PlatformAws(endpoint_url=sandbox.endpoint_url, region="us-east-1")
    services = Services(
        pipeline=database.engine("pipeline"),
        scheduler=database.engine("scheduler"),
        platform=platform,
        keys=TenantKeys(platform.client("kms"), environment["THIRDSENTRY_KMS_KEY_ID"]),
        principal_arn=environment["THIRDSENTRY_PRINCIPAL_ARN"],
        clock=utc_now,
    )
    return Lab(services, sandbox.admin, database)


@pytest.fixture
def lab(clean_database, empty_sandbox, sandbox_environment, monkeypatch):
    # A refused role is tried again, as often as ever, but without nine seconds of pauses.
    pauses = (0.0,) * len(role_session._RETRY_PAUSES)
    monkeypatch.setattr(role_session, "_RETRY_PAUSES", pauses)
    return lab_on(clean_database, empty_sandbox, sandbox_environment)


@pytest.fixture
def organization_lab(lab):
    lab.organization()
    return lab
