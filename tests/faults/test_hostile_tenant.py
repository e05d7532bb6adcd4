"""Fault 28: a tenant that attacks another one through roles, ids and names.

What a tenant's SQL can try is in ``tests/integration/tenancy``, and what a run's partition, tags
and config can in ``tests/integration/dagster/test_hostile_names.py``; here is what comes in by the
product's own doors. Every refusal has its positive control: the owner can.
"""

import pytest

from tests.faults.town import settle, sync
from tests.faults.twin import digest
from tests.integration.operations.lab import ACCOUNT, ORGANIZATION, OTHER_ORGANIZATION
from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.operations.connecting import (
    connect,
    reauth,
    revoke,
    stored_external_id,
)
from thirdsentry_pipeline.operations.onboarding import onboard

pytestmark = pytest.mark.integration

VICTIM, ATTACKER = ORGANIZATION, OTHER_ORGANIZATION
THIRD_ACCOUNT = "333333333333"
ROLE = "ThirdSentry"
CONNECTION = "select connection_id, role_arn from warehouse.connections where organization_id = :id"
STRANGE_ORGANIZATIONS = (
    "' or '1'='1",
    f"{ATTACKER},{VICTIM}",
    f"{ATTACKER}\n{VICTIM}",
    f"{ATTACKER}\x00",
    VICTIM.upper() + "0",
    "%",
    "../" + VICTIM,
    "f" * 24,
)
STRANGE_ROLES = (
    f"arn:aws:iam::{ACCOUNT}:role/*",
    f"arn:aws:iam::{ACCOUNT}:root",
    f"arn:aws:iam::{ACCOUNT}:user/{ROLE}",
    f"arn:aws:iam::{ACCOUNT}:role/{ROLE}\narn:aws:iam::999988887777:role/x",
    f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/x",
    f"arn:evil:iam::{ACCOUNT}:role/{ROLE}",
    f"arn:aws:iam::{ACCOUNT}0:role/{ROLE}",
    "'; drop table warehouse.evidence; --",
)


def victims_part(lab):
    """What the digest says of the victim, and its audit log's length."""
    said = digest(lab.database.engine("admin"))
    audited = lab.value(
        "select count(*) from warehouse.audit_log where organization_id = :id", id=VICTIM
    )
    return {name: [row for row in rows if VICTIM in row] for name, rows in said.items()}, audited


def attempts(lab):
    """What the attacker tries, by name."""
    services = lab.services
    (victims,) = lab.rows(CONNECTION, id=VICTIM)
    victims_id, victims_role = str(victims["connection_id"]), victims["role_arn"]
    victims_secret = stored_external_id(services, VICTIM, victims["connection_id"])
    vendor = services.principal_arn.split(":")[4]
    made = onboard(services, ATTACKER)
    own_role = lab.admin.create_role(THIRD_ACCOUNT, ROLE, made.trust_policy, made.permission_policy)
    open_trust = {**made.trust_policy["Statement"][0]}
    open_trust.pop("Condition")
    vendors_role = lab.admin.create_role(
        vendor, ROLE, {**made.trust_policy, "Statement": [open_trust]}, made.permission_policy
    )
    return {
        "the victim's role": lambda: connect(services, ATTACKER, victims_role),
        "the victim's role and id": lambda: connect(
            services, ATTACKER, victims_role, victims_secret
        ),
        "the victim's id": lambda: connect(services, ATTACKER, own_role, victims_secret),
        "the vendor's role": lambda: connect(services, ATTACKER, vendors_role),
        "the vendor's user": lambda: connect(services, ATTACKER, services.principal_arn),
        "the victim's connection, again": lambda: reauth(services, ATTACKER, victims_id),
        "the victim's connection with an id": lambda: reauth(
            services, ATTACKER, victims_id, external_id=made.external_id
        ),
        "the victim's connection, revoked": lambda: revoke(services, ATTACKER, victims_id),
        **{
            f"the organization {name!r}": lambda name=name: onboard(services, name)
            for name in STRANGE_ORGANIZATIONS
        },
        **{
            f"a connection of {name!r}": lambda name=name: connect(services, name, own_role)
            for name in STRANGE_ORGANIZATIONS
        },
        **{
            f"the role {arn!r}": lambda arn=arn: connect(services, ATTACKER, arn)
            for arn in STRANGE_ROLES
        },
    }, own_role


@pytest.mark.fault(28)
def test_no_door_lets_a_tenant_into_another_ones_account(lab, monkeypatch):
    monkeypatch.setattr("thirdsentry_pipeline.aws.role_session._RETRY_PAUSES", ())
    settle(lab, ROLE)
    before = victims_part(lab)
    tried, own_role = attempts(lab)
    let_in, told = [], {}
    for name, attempt in tried.items():
        try:
            attempt()
        except ThirdSentryError as refusal:
            told[name] = str(refusal)
        else:
            let_in.append(name)
    assert let_in == []
    assert [name for name, said in told.items() if VICTIM in said and VICTIM not in name] == []
    assert victims_part(lab) == before
    # The owners can: the same calls, with what is theirs.
    connect(lab.services, ATTACKER, own_role)
    (victims,) = lab.rows(CONNECTION, id=VICTIM)
    reauth(lab.services, VICTIM, str(victims["connection_id"]))
    assert sync(lab, VICTIM).status == "succeeded"
    assert revoke(lab.services, VICTIM, str(victims["connection_id"]))
