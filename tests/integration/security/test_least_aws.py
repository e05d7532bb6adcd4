"""What is asked of AWS, call by call: nothing beyond the policy that customers attach."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.operations.lab import Lab, lab_on
from thirdsentry_pipeline.aws import role_session
from thirdsentry_pipeline.aws.sessions import SessionCredentials
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.domain.policy import (
    LEAST_PRIVILEGE_ACTIONS,
    ROLE_NAME,
    actions_for,
    session_policy,
)
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.local.demo_accounts import DEMO_ORGANIZATIONS, seed_demo_accounts
from thirdsentry_pipeline.operations.connecting import connect
from thirdsentry_pipeline.operations.onboarding import onboard
from thirdsentry_pipeline.operations.sync import sync_organization

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.databases import WarehouseDatabase
    from thirdsentry_pipeline.local.sandbox_process import SandboxProcess

pytestmark = pytest.mark.integration

# STS answers who the caller is to everyone; no policy grants or denies it.
NEEDS_NO_PERMISSION = {"sts:GetCallerIdentity"}
OWN_ACTIONS = {"sts:AssumeRole", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt"}
FALLBACK = {"iam:ListUsers", "iam:GetLoginProfile", "iam:ListMFADevices"}
WRITES = ("Create", "Put", "Update", "Delete", "Attach", "Set", "Start", "Stop", "Tag", "Add")


@pytest.fixture(scope="module")
def collection(
    database: WarehouseDatabase, sandbox: SandboxProcess
) -> Iterator[tuple[Lab, list[dict[str, Any]]]]:
    """The demo's four accounts, connected once for all tests here and collected once.

    Beside them is what that one collection asked of AWS, before any test here asks for more.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in sandbox.environment.items():
            patch.setenv(name, value)
        pauses = (0.0,) * len(role_session._RETRY_PAUSES)
        patch.setattr(role_session, "_RETRY_PAUSES", pauses)
        database.reset()
        sandbox.admin.reset()
        lab = collected(lab_on(database, sandbox, sandbox.environment))
        yield lab, lab.admin.calls()
    database.is_used = True
    database.dispose()


@pytest.fixture
def demo_collected(collection: tuple[Lab, list[dict[str, Any]]]) -> Iterator[Lab]:
    """The demo's accounts, collected; what a test makes fail there ends with it."""
    lab, _ = collection
    yield lab
    lab.admin.clear_faults()


@pytest.fixture
def demo_calls(collection: tuple[Lab, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What the collection asked of AWS."""
    return collection[1]


def collected(lab: Lab) -> Lab:
    seed_demo_accounts(lab.admin)
    for organization in DEMO_ORGANIZATIONS:
        lab.organization(organization.organization_id, organization.name)
        for account in organization.accounts:
            made = onboard(lab.services, organization.organization_id)
            arn = lab.admin.create_role(
                account.account_id, ROLE_NAME, made.trust_policy, made.permission_policy
            )
            lab.admin.set_credential_report(account.account_id, polls=0)
            connect(lab.services, organization.organization_id, arn)
    lab.admin.clear_calls()
    for organization in DEMO_ORGANIZATIONS:
        collect(lab, organization.organization_id, tuple(EvidenceType))
    return lab


def collect(lab: Lab, organization_id: str, types: Sequence[EvidenceType]) -> None:
    sync_organization(lab.services, organization_id, today(utc_now), types, "dagster run")


def in_accounts(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Calls made with a customer's role."""
    return [call for call in calls if call["role_arn"]]


def test_no_call_is_beyond_the_policy(demo_calls: list[dict[str, Any]]) -> None:
    calls = in_accounts(demo_calls)
    asked = {call["action"] for call in calls}
    assert asked <= {*LEAST_PRIVILEGE_ACTIONS, *NEEDS_NO_PERMISSION}
    accounts = {
        one.account_id for organization in DEMO_ORGANIZATIONS for one in organization.accounts
    }
    assert {call["account_id"] for call in calls} == accounts
    # And only the fallback's actions stay unused while the credential report is readable.
    assert set(LEAST_PRIVILEGE_ACTIONS) - asked == FALLBACK
    assert not [call for call in calls if call["operation"].startswith(WRITES)]
    own = {call["action"] for call in demo_calls if not call["role_arn"]}
    assert own <= OWN_ACTIONS
    assert "sts:AssumeRole" in own


def test_the_fallback_asks_for_the_rest_of_the_policy(
    demo_collected: Lab, demo_calls: list[dict[str, Any]]
) -> None:
    """No action is in the policy for nothing."""
    for action in ("iam:GenerateCredentialReport", "iam:GetCredentialReport"):
        demo_collected.admin.inject_fault(action=action, error_code="AccessDenied")
    demo_collected.admin.clear_calls()
    collect(demo_collected, DEMO_ORGANIZATIONS[0].organization_id, tuple(EvidenceType))
    calls = demo_collected.admin.calls()
    asked = {call["action"] for call in in_accounts(demo_calls + calls)}
    assert asked - NEEDS_NO_PERMISSION == set(LEAST_PRIVILEGE_ACTIONS)


def test_a_session_is_cut_down_to_what_it_reads(demo_collected: Lab) -> None:
    """The policy travels with the session, so wider rights of the role can't be used."""
    organization = DEMO_ORGANIZATIONS[0]
    for kind in EvidenceType:
        known = len(demo_collected.admin.sessions())
        demo_collected.admin.clear_calls()
        collect(demo_collected, organization.organization_id, [kind])
        sessions = demo_collected.admin.sessions()[known:]
        assert len(sessions) == len(organization.accounts), kind
        for session in sessions:
            assert session["policy"] == session_policy([kind])
            statements = json.loads(session["policy"])["Statement"]
            allowed = {action for statement in statements for action in statement["Action"]}
            assert allowed == set(actions_for([kind]))
        asked = {
            call["action"] for call in in_accounts(demo_collected.admin.calls())
        } - NEEDS_NO_PERMISSION
        assert asked, kind
        assert asked <= allowed, kind


def test_the_recording_tells_a_call_beyond_the_policy(demo_collected: Lab) -> None:
    """The control: a call that no policy names is seen, and refused within a session."""
    before = len(in_accounts(demo_collected.admin.calls()))
    platform = demo_collected.services.platform
    session = demo_collected.admin.sessions(secrets=True)[-1]
    credentials = SessionCredentials(session["access_key_id"], session["secret"], session["token"])
    client = platform.client("iam", "us-east-1", credentials)
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.list_roles()
    beyond = in_accounts(demo_collected.admin.calls())[before:]
    assert [call["action"] for call in beyond] == ["iam:ListRoles"]
