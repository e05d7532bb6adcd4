"""A town: an installation where faults strike, and its twin that lives the same life without any.

Both read the same accounts of the sandbox through roles of their own. Before each fault the
accounts change, so there is always something new to lose.
"""

from dataclasses import dataclass, field
from itertools import count

from psycopg import sql

from tests.dagster_fixtures import create
from tests.databases import WarehouseDatabase
from tests.faults.twin import digest
from tests.integration.operations.lab import (
    ACCOUNT,
    ORGANIZATION,
    OTHER_ORGANIZATION,
    REGIONS,
    lab_on,
)
from thirdsentry_pipeline.automation.instance import persistent_instance
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.operations.connecting import connect
from thirdsentry_pipeline.operations.onboarding import onboard
from thirdsentry_pipeline.operations.sync import sync_organization
from thirdsentry_pipeline.settings import Settings, with_database
from thirdsentry_pipeline.warehouse.invariants import find_breaches, sentences

OTHER_ACCOUNT = "222222222222"
PEOPLE = {ORGANIZATION: ACCOUNT, OTHER_ORGANIZATION: OTHER_ACCOUNT}
OBSERVATIONS = "select count(*) from warehouse.evidence_observations"
FACTS = "select count(*) from warehouse.evidence"
BY_STATUS = "select status, count(*) as runs from warehouse.connector_runs group by status"
LONGEST_AGE = 1095
WHOLE = 7


def sync(lab, organization_id=ORGANIZATION):
    """A sync in this process, as the Dagster asset calls it."""
    return sync_organization(
        lab.services, organization_id, today(lab.services.clock), tuple(EvidenceType), "retry"
    )


def settle(lab, role_name):
    """Connect both organizations, each through a role with this name."""
    for organization_id, account_id in PEOPLE.items():
        lab.organization(organization_id, f"Organization {organization_id[-1]}")
        made = onboard(lab.services, organization_id)
        lab.admin.set_regions(account_id, REGIONS)
        lab.admin.set_credential_report(account_id, polls=0)
        arn = lab.admin.create_role(
            account_id, role_name, made.trust_policy, made.permission_policy
        )
        connect(lab.services, organization_id, arn)
        assert sync(lab, organization_id).status == "succeeded"


@dataclass
class Town:
    """Two connected organizations that were read once; the first is where faults strike."""

    lab: object
    twin: object
    environment: dict
    dagster: str
    server: object
    zygote: object
    role: str
    changes: object = field(default_factory=lambda: count(1))

    def is_standing(self):
        """Whether the sandbox still has the town's roles: other tests empty it."""
        iam = self.lab.admin.client("iam", ACCOUNT)
        try:
            iam.get_role(RoleName=self.role)
        except iam.exceptions.NoSuchEntityException:
            return False
        return True

    def change(self):
        """Give the first account facts that nobody saw before."""
        number = next(self.changes)
        self.lab.admin.client("iam", ACCOUNT).update_account_password_policy(
            MinimumPasswordLength=14 + number // LONGEST_AGE,
            MaxPasswordAge=1 + number % LONGEST_AGE,
        )

    def victim(self, job="sync", *arguments, **options):
        return self.zygote.start(
            job, *(arguments or (ORGANIZATION,)), environment=self.environment, **options
        )

    def observations(self):
        return self.lab.value(OBSERVATIONS)

    def runs(self, status):
        """How many connector runs have the status."""
        return {row["status"]: row["runs"] for row in self.lab.rows(BY_STATUS)}.get(status, 0)

    def heal(self):
        """One retry of what was hit; it must succeed, and the twin is read too."""
        assert sync(self.lab).status == "succeeded"
        assert sync(self.twin).status == "succeeded"
        assert self.runs("running") == 0
        assert self.digest() == self.twin_digest()

    def is_healed_by_a_retry(self):
        """Whether one retry makes the town say what its twin says."""
        both = sync(self.lab).status, sync(self.twin).status
        is_quiet = self.runs("running") == 0
        return (
            both == ("succeeded", "succeeded") and is_quiet and self.digest() == self.twin_digest()
        )

    def twin_digest(self):
        return digest(self.twin.database.engine("admin"))

    def digest(self):
        return digest(self.lab.database.engine("admin"))

    def breaches(self):
        """The sentences of what does not hold at this moment."""
        engine = self.lab.database.engine
        return sentences(find_breaches(engine("admin"), engine("pipeline")))

    def instance(self):
        return persistent_instance(Settings.from_environment(self.environment))

    def settings(self):
        return Settings.from_environment(self.environment)

    def new_dagster(self, template):
        """Drop Dagster's own database and begin an empty one."""
        self.server.execute(*_fresh(self.dagster, template))

    def leave(self):
        self.lab.database.drop()
        self.twin.database.drop()
        self.server.execute(_drop(self.dagster))


def found(server, name, *, template, dagster_template, sandbox, home, zygote):
    """Build a town with databases of its own on the server; the environment names the sandbox."""
    places = {}
    for place in ("town", "twin"):
        database = WarehouseDatabase(server, f"{name}_{place}", template)
        database.reset()
        places[place] = lab_on(database, sandbox, sandbox.environment)
        settle(places[place], f"{name}-{place}")
    dagster = f"{name}_dagster"
    server.execute(*_fresh(dagster, dagster_template))
    database = places["town"].database
    environment = {
        **sandbox.environment,
        "THIRDSENTRY_DATABASE_URL": database.pipeline_url,
        "THIRDSENTRY_SCHEDULER_DATABASE_URL": database.scheduler_url,
        "THIRDSENTRY_TRANSFORM_DATABASE_URL": database.transform_url,
        "THIRDSENTRY_DAGSTER_DATABASE_URL": with_database(database.dagster_url, dagster),
        "THIRDSENTRY_HOME": str(home),
    }
    return Town(
        places["town"], places["twin"], environment, dagster, server, zygote, f"{name}-town"
    )


def _drop(name):
    return sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))


def _fresh(name, template):
    return [_drop(name), create(name, template)]
