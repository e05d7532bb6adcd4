"""Organizations and their accounts on the fast AWS stub, and what must be found of each."""

import json
import re
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from benchmarks import stub_accounts
from benchmarks.lab import Lab
from benchmarks.stub_accounts import REGIONS, StubSettings
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.operations.sync_batch import sync_organizations

TYPES = tuple(EvidenceType)
ACCOUNT_IDS = re.compile(r"(?<![0-9])0000000[0-9]{5}(?![0-9])")
SMALL = {"regions": 3, "users": 4, "users_without_mfa_every": 2, "findings": 2}
SETTINGS = StubSettings(**SMALL)
FAULTS = {
    "jitter_ms": 15,
    "throttle_rate": 0.03,
    "failure_rate": 0.02,
    "denial_rate": 0.06,
    "reset_rate": 0.02,
    "cut_rate": 0.03,
}
NO_FAULTS = dict.fromkeys(FAULTS, 0.0) | {"latency_ms": 0.0}


@dataclass(frozen=True)
class Home:
    """Where a connection belongs."""

    organization_id: str
    account_id: str


@dataclass
class Town:
    lab: Lab
    database: object
    homes: dict[UUID, Home]

    def sync(self, name, at_once):
        """One run over all organizations, as a batched Dagster run does it."""
        day = today(self.lab.services.clock)
        partitions = [
            (day, one) for one in sorted({h.organization_id for h in self.homes.values()})
        ]
        return [
            outcome
            for _, _, outcome in sync_organizations(
                self.lab.services, partitions, TYPES, name, at_once=at_once
            )
        ]

    def rows(self, sql, **parameters):
        """Rows as the superuser sees them: row security hides leaks."""
        with self.database.engine("admin").connect() as connection:
            return list(connection.execute(text(sql), parameters))


def build(lab, database, organizations, accounts_each):
    homes = {}
    for number in range(organizations):
        organization_id = f"{number + 1:024x}"
        # Neighbours in number, so in all that follows from it, belong to different organizations.
        accounts = [f"{1000 + number + organizations * n:012d}" for n in range(accounts_each)]
        connected = lab.connect(organization_id, accounts)
        for connection_id, account in zip(connected, accounts, strict=True):
            homes[connection_id] = Home(organization_id, account)
    return Town(lab, database, homes)


def strays(town, name):
    """Every row of a run, and every piece of evidence there is, that is not where it belongs.

    A row's place is its organization, connection and account; its content is what the account
    holds, whatever was injected: a read that failed has no content at all.
    """
    return [
        *(row for row in town.rows(EVIDENCE) if not _evidence_belongs(town, row)),
        *(row for row in town.rows(OBSERVATIONS, name=name) if not _observation_belongs(town, row)),
        *(row for row in town.rows(STATES) if not _is_home(town, row) or not row.is_own),
        *(row for row in town.rows(RUNS, name=name) if not _is_home(town, row)),
        *(row for row in town.rows(AUDIT, name=name) if not _audit_belongs(town, row)),
    ]


EVIDENCE = """
    select organization_id, connection_id, account_id, evidence_type, payload, payload_canonical
    from warehouse.evidence
"""
OBSERVATIONS = """
    select o.organization_id, o.connection_id, o.evidence_type, o.read_status, o.error_code,
        o.evidence_id is not null as has_evidence,
        o.connection_id = r.connection_id and o.organization_id = r.organization_id as is_of_run,
        (e.organization_id, e.connection_id, e.evidence_type)
            = (o.organization_id, o.connection_id, o.evidence_type) as is_own
    from warehouse.evidence_observations as o
    join warehouse.connector_runs as r on r.run_id = o.run_id
    left join warehouse.evidence as e on e.evidence_id = o.evidence_id
    where r.dagster_run_id = :name
"""
STATES = """
    select s.organization_id, s.connection_id, s.evidence_type,
        s.evidence_id is null or (e.organization_id, e.connection_id, e.evidence_type, e.verdict,
            e.fingerprint) = (s.organization_id, s.connection_id, s.evidence_type, s.verdict,
            s.fingerprint) as is_own
    from warehouse.evidence_state as s left join warehouse.evidence as e using (evidence_id)
"""
RUNS = """
    select organization_id, connection_id, status from warehouse.connector_runs
    where dagster_run_id = :name
"""
AUDIT = """
    select a.organization_id, a.connection_id, a.detail, r.connection_id as run_connection_id
    from warehouse.audit_log as a join warehouse.connector_runs as r on r.run_id = a.run_id
    where r.dagster_run_id = :name
"""


def _is_home(town, row):
    home = town.homes.get(row.connection_id)
    return home is not None and home.organization_id == row.organization_id


def _evidence_belongs(town, row):
    home = town.homes.get(row.connection_id)
    hashed = json.loads(row.payload_canonical)
    return (
        _is_home(town, row)
        and row.account_id == hashed["account_id"] == home.account_id
        and hashed["organization_id"] == home.organization_id
        and set(ACCOUNT_IDS.findall(row.payload_canonical)) == {home.account_id}
        and belongs(home.account_id, EvidenceType(row.evidence_type), row.payload)
    )


def _observation_belongs(town, row):
    told = row.read_status == "ok" or row.error_code is not None
    content = row.is_own is True if row.read_status == "ok" else not row.has_evidence
    return _is_home(town, row) and row.is_of_run and told and content


def _audit_belongs(town, row):
    account = row.detail.get("account_id", town.homes[row.connection_id].account_id)
    return (
        _is_home(town, row)
        and row.run_connection_id == row.connection_id
        and account == town.homes[row.connection_id].account_id
    )


def belongs(account, kind, payload):
    """Whether a payload is what this account holds, in the regions that were read."""
    return CONTENTS[kind](account, payload)


def _users(account, payload):
    return payload["users_without_mfa"] == stub_accounts.users_without_mfa(account, SETTINGS)


def _flags(account, payload):
    names = ("block_public_acls", "ignore_public_acls", "block_public_policy")
    told = (*(payload[name] for name in names), payload["restrict_public_buckets"])
    return told == stub_accounts.public_access_flags(account)


def _trails(account, payload):
    return [one["arn"] for one in payload["trails"]] == [stub_accounts.trail_arn(account)]


def _detectors(account, payload):
    enabled = {one["region"] for one in payload["regions"] if one["state"] == "enabled"}
    read = {one["region"] for one in payload["regions"]}
    return enabled == _with_detector(account) & read


def _findings(account, payload):
    ids = [
        one
        for region in sorted(_with_detector(account))
        for one in stub_accounts.finding_ids(account, region, SETTINGS)
    ]
    return [one["finding_id"] for one in payload["findings"]] == sorted(ids)


CONTENTS = {
    EvidenceType.ROOT_MFA: lambda account, payload: (
        payload["mfa_enabled"] == stub_accounts.root_has_mfa(account)
    ),
    EvidenceType.MFA_COVERAGE: _users,
    EvidenceType.PASSWORD_POLICY: lambda account, payload: (
        payload["minimum_length"] == stub_accounts.password_length(account)
    ),
    EvidenceType.S3_PUBLIC_ACCESS_BLOCK: _flags,
    EvidenceType.CLOUDTRAIL_LOGGING: _trails,
    EvidenceType.GUARDDUTY_STATUS: _detectors,
    EvidenceType.GUARDDUTY_FINDINGS: _findings,
}


def _with_detector(account):
    return {one for one in REGIONS if stub_accounts.detector_id(account, one, SETTINGS)}
