"""The demo: three organizations on the sandbox, connected, synced through Dagster, covered.

Every step finds out what is there already, so a demo killed at any moment and started again
carries on: organizations and connections are kept, the sandbox's roles are made anew with the
external ids that the warehouse holds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from thirdsentry_pipeline.automation.launch import (
    run_checks_job,
    run_coverage_job,
    run_evidence_job,
)
from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.policy import ROLE_NAME, permission_policy, trust_policy
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.local.demo_accounts import (
    DEMO_ORGANIZATIONS,
    DemoAccount,
    DemoOrganization,
    seed_demo_accounts,
)
from thirdsentry_pipeline.local.quiet_job import quiet_job
from thirdsentry_pipeline.local.sandbox_client import SandboxAdmin
from thirdsentry_pipeline.operations.connecting import connect, reauth, stored_external_id
from thirdsentry_pipeline.operations.onboarding import onboard
from thirdsentry_pipeline.operations.services import Services, open_services
from thirdsentry_pipeline.settings import Settings
from thirdsentry_pipeline.warehouse.connections import Connection, list_connections
from thirdsentry_pipeline.warehouse.organizations import add_organization, get_organization
from thirdsentry_pipeline.warehouse.scope import organization_scope

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DemoRun:
    """One organization of the demo and the Dagster run that collected its evidence."""

    organization_id: str
    name: str
    dagster_run_id: str


def run_demo(settings: Settings, admin: SandboxAdmin, report: Report) -> list[DemoRun]:
    """Seed, connect, sync, cover; the settings' environment must point at the sandbox."""
    report("Seeding four made-up AWS accounts in the sandbox")
    seed_demo_accounts(admin)
    with open_services(settings) as services:
        for organization in DEMO_ORGANIZATIONS:
            ensure_organization(services, organization)
            for account in organization.accounts:
                ensure_connection(services, admin, organization, account, report)
    runs = [sync(settings, organization, report) for organization in DEMO_ORGANIZATIONS]
    report("Building the coverage models with dbt, through Dagster")
    with quiet_job(settings) as log:
        dagster_run_id, success = run_coverage_job(settings)
    if not success:
        message = f"The coverage run {dagster_run_id} failed: see {log} or its page in Dagster."
        raise ThirdSentryError(message)
    report("Checking freshness and authorization over all organizations")
    with quiet_job(settings):
        run_checks_job(settings)
    return runs


def ensure_organization(services: Services, organization: DemoOrganization) -> None:
    """Add the organization when it is not there."""
    with organization_scope(services.pipeline, organization.organization_id) as connection:
        if get_organization(connection) is None:
            add_organization(connection, organization.organization_id, organization.name)


def ensure_connection(
    services: Services,
    admin: SandboxAdmin,
    organization: DemoOrganization,
    account: DemoAccount,
    report: Report,
) -> None:
    """Play the customer, who makes the role, and the operator, who connects it."""
    organization_id = organization.organization_id
    known = live_connection(services, organization_id, account.account_id)
    if known is None:
        report(f"{organization.name}: onboarding and connecting account {account.account_id}")
        made = onboard(services, organization_id)
        admin.create_role(account.account_id, ROLE_NAME, made.trust_policy, made.permission_policy)
        connect(services, organization_id, account.role_arn)
        return
    report(f"{organization.name}: account {account.account_id} is connected already")
    trusted = stored_trust_policy(services, organization_id, known.connection_id)
    admin.create_role(account.account_id, ROLE_NAME, trusted, permission_policy())
    if known.status != "active":
        reauth(services, organization_id, str(known.connection_id))


def live_connection(services: Services, organization_id: str, account_id: str) -> Connection | None:
    """The account's connection that was not revoked."""
    with organization_scope(services.pipeline, organization_id) as connection:
        live = list_connections(connection, live_only=True)
    return next((one for one in live if one.account_id == account_id), None)


def stored_trust_policy(
    services: Services, organization_id: str, connection_id: UUID
) -> dict[str, object]:
    """What the customer's role trusted when it was connected."""
    external_id = stored_external_id(services, organization_id, connection_id)
    return trust_policy(str(services.principal_arn), external_id)


def sync(settings: Settings, organization: DemoOrganization, report: Report) -> DemoRun:
    """Collect today's evidence through the Dagster job, on the persistent instance."""
    report(f"{organization.name}: collecting evidence through Dagster")
    with quiet_job(settings):
        dagster_run_id, _ = run_evidence_job(
            settings, organization.organization_id, today(utc_now), tuple(EvidenceType)
        )
    return DemoRun(organization.organization_id, organization.name, dagster_run_id)
