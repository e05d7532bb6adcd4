"""A town of two organizations: one attacks from inside, the other must notice nothing.

Both have rows in every table, written by the product's own code. What an attacker may never see
are the victim's marks; what it may never do is change the victim's rows.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import text

from tests.integration.warehouse.conftest import Tenant, make_tenant, ok
from thirdsentry_pipeline.domain.evidence import EvidenceType, Verdict
from thirdsentry_pipeline.warehouse import alerts, assessments, bi_logins, connections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases import WarehouseDatabase
    from tests.integration.dbt.dbt_command import DbtProject

ATTACKER = "a" * 24
VICTIM = "b" * 24
VICTIM_NAME = "Basalt Logistics"
PENDING_SECRET = b"sealed pending id of the victim"
VICTIM_USER = "ines.of.basalt"
TABLES = (
    "organizations", "organization_data_keys", "pending_external_ids", "connections",
    "connector_runs", "evidence", "evidence_observations", "evidence_state", "evidence_steps", "audit_log",
    "audit_heads", "assessments", "assessment_evidence", "alerts", "bi_logins", "identity_claims",
)  # fmt: skip


@dataclass
class Town:
    """The database, both organizations, and a login of each kind in each of them."""

    project: DbtProject
    attacker: Tenant
    victim: Tenant
    readers: dict[str, bi_logins.GrantedLogin] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> WarehouseDatabase:
        return self.project.database

    @property
    def marks(self) -> list[str]:
        """Texts that only the victim's rows hold."""
        return list(self.facts.values())

    def grant(self, tenant: Tenant, name: str, role: bi_logins.ReaderRole) -> None:
        login = f"{name}_{uuid4().hex[:8]}"
        with tenant.scope() as c:
            self.readers[name] = bi_logins.grant_login(c, login, actor="zoe", reader_role=role)

    def url(self, login: str) -> str:
        """The URL of a login: one of the product's, or a reader by its name in the town."""
        if login in self.readers:
            granted = self.readers[login]
            return make_conninfo(
                self.database.pipeline_url, user=granted.login, password=granted.password
            )
        return self.database.url(login)  # type: ignore[arg-type] # the test names a known login

    @contextmanager
    def connect(self, login: str) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.url(login), autocommit=True) as connection:
            yield connection

    def victims_rows(self) -> list[tuple[str, str]]:
        """Every row of the victim, as the superuser sees them."""
        each = (
            f"select '{table}', t::text from warehouse.{table} as t"
            f" where organization_id = '{VICTIM}'"
            for table in TABLES
        )
        with self.database.engine("admin").connect() as c:
            found = c.execution_options(no_parameters=True).exec_driver_sql(
                " union all ".join(each)
            )
            return sorted((table, row) for table, row in found)

    def close(self) -> None:
        for name, granted in self.readers.items():
            tenant = self.victim if name.startswith("victims") else self.attacker
            with tenant.scope() as c:
                if any(one["login"] == granted.login for one in bi_logins.list_logins(c)):
                    bi_logins.revoke_login(c, granted.login, actor="zoe")


def settle(tenant: Tenant, name: str, account_id: str, user: str) -> dict[str, Any]:
    """Give the organization a row in every table; returns the facts that are its alone."""
    with tenant.scope() as c:
        c.execute(text("update warehouse.organizations set name = :name"), {"name": name})
        connections.put_pending_external_id(c, PENDING_SECRET, 1)
        assert connections.claim(c, "role_arn", account_id.ljust(64, "0"))
    recorded = tenant.sync(
        ok(EvidenceType.MFA_COVERAGE, Verdict.FAIL, users_without_mfa=[user]),
        ok(EvidenceType.ROOT_MFA, Verdict.PASS, note=user),
    )
    evidence_id = recorded[0].evidence_id
    assert evidence_id is not None
    with tenant.scope() as c:
        assessment_id = assessments.create_assessment(c, f"SOC 2 of {name}", actor=user)
        assessments.attach(c, assessment_id, [evidence_id], actor=user)
        now = c.scalar(text("select now()"))
        alerts.open_alert(c, "stale", f"of {name}", connection_id=None, opened_at=now)
        fingerprint = c.scalar(text("select min(fingerprint) from warehouse.evidence"))
        head = c.scalar(text("select row_hash from warehouse.audit_heads"))
        run_id = c.scalar(text("select run_id from warehouse.connector_runs"))
    return {
        "name": name,
        "user": user,
        "connection": tenant.connection_id,
        "run": run_id,
        "evidence": evidence_id,
        "assessment": assessment_id,
        "fingerprint": fingerprint,
        "audit_head": head,
    }


def build_town(project: DbtProject) -> Town:
    database = project.database
    town = Town(project, make_tenant(database, ATTACKER), make_tenant(database, VICTIM))
    settle(town.attacker, "Aurora Payments", "1", "amara.of.aurora")
    facts = settle(town.victim, VICTIM_NAME, "2", VICTIM_USER)
    town.facts = json.loads(json.dumps(facts, default=str))
    for tenant, prefix in ((town.attacker, ""), (town.victim, "victims_")):
        town.grant(tenant, f"{prefix}bi", "ts_bi")
        town.grant(tenant, f"{prefix}auditor", "ts_auditor")
    return town
