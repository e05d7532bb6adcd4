"""``audit log`` and ``audit verify``: exit codes, sentences, and what the document holds."""

import pytest

from tests.integration.audit.chains import REPAIRED_HEAD, tamper
from tests.integration.operations.lab import ORGANIZATION, OTHER_ORGANIZATION
from thirdsentry_pipeline.aws.anchors import AnchorBucket
from thirdsentry_pipeline.operations.audit import anchor_organizations
from thirdsentry_pipeline.warehouse import audit
from thirdsentry_pipeline.warehouse.scope import organization_scope

pytestmark = pytest.mark.integration
CUT_TAIL = "delete from warehouse.audit_log where organization_id = '{}' and seq >= 3"


@pytest.fixture
def logs(thirdsentry, lab):
    """Two organizations with four rows each."""
    for organization_id, name in ((ORGANIZATION, "Acme"), (OTHER_ORGANIZATION, "Other")):
        lab.organization(organization_id, name)
        with organization_scope(lab.services.pipeline, organization_id) as c:
            for number in range(4):
                audit.append(c, "connect", actor="zoe", detail={"number": number})


@pytest.fixture
def anchors(lab, logs, sandbox_environment):
    services = lab.services
    name = sandbox_environment["THIRDSENTRY_ANCHOR_BUCKET"]
    bucket = AnchorBucket(services.platform.client("s3"), name)
    outcomes = anchor_organizations(services.pipeline, services.scheduler, bucket)
    assert all(one.is_new for one in outcomes)
    return bucket


def test_the_log_is_shown_oldest_first(thirdsentry, logs):
    shown = thirdsentry("audit", "log", "--organization", ORGANIZATION, "--json")
    assert (shown.code, shown.err) == (0, "")
    assert [row["seq"] for row in shown.document] == [1, 2, 3, 4]
    assert {row["organization_id"] for row in shown.document} == {ORGANIZATION}
    first = shown.document[0]
    assert (first["action"], first["actor"], first["detail"]) == ("connect", "zoe", {"number": 0})
    assert first["occurred_at"].endswith("Z")
    assert first["prev_hash"] == "0" * 64
    newest = thirdsentry("audit", "log", "--organization", ORGANIZATION, "--limit", "2", "--json")
    assert [row["seq"] for row in newest.document] == [3, 4]
    read = thirdsentry("audit", "log", "--organization", ORGANIZATION)
    assert read.code == 0
    assert "number 3" in read.out


def test_intact_logs_verify_against_their_anchors(thirdsentry, anchors):
    found = thirdsentry("audit", "verify", "--json")
    assert (found.code, found.err) == (0, "")
    assert found.document["is_intact"] is True
    assert found.document["anchor_bucket"] == anchors.name
    assert [
        (one["organization_id"], one["is_intact"], one["last_seq"], one["anchors_compared"])
        for one in found.document["organizations"]
    ] == [(ORGANIZATION, True, 4, 1), (OTHER_ORGANIZATION, True, 4, 1)]
    one = thirdsentry("audit", "verify", "--organization", OTHER_ORGANIZATION, "--json")
    assert [row["organization_id"] for row in one.document["organizations"]] == [OTHER_ORGANIZATION]
    assert thirdsentry("audit", "verify").code == 0


def test_a_tampered_log_fails_by_organization_and_row(thirdsentry, anchors, lab):
    change = (
        "update warehouse.audit_log set occurred_at = occurred_at + interval '1 microsecond'"
        f" where organization_id = '{OTHER_ORGANIZATION}' and seq = 2"
    )
    tamper(lab.database.engine("admin"), change)
    found = thirdsentry("audit", "verify", "--json")
    assert found.code == 1
    assert found.document["is_intact"] is False
    rows = {one["organization_id"]: one for one in found.document["organizations"]}
    assert rows[OTHER_ORGANIZATION]["broken_seq"] == 2
    assert rows[ORGANIZATION]["is_intact"] is True
    assert found.err == (
        f"The audit log of organization {OTHER_ORGANIZATION} is broken at sequence number 2: "
        "the row is not what was written.\n"
    )
    assert thirdsentry("audit", "verify", "--organization", ORGANIZATION).code == 0


def test_what_anchors_alone_can_find_is_found_when_they_are_compared(
    thirdsentry, anchors, lab, monkeypatch
):
    tamper(lab.database.engine("admin"), CUT_TAIL.format(ORGANIZATION), REPAIRED_HEAD)
    found = thirdsentry("audit", "verify", "--organization", ORGANIZATION)
    assert found.code == 1
    assert "number 3: the row was anchored and is gone" in found.err
    monkeypatch.delenv("THIRDSENTRY_ANCHOR_BUCKET")
    unheld = thirdsentry("audit", "verify", "--organization", ORGANIZATION)
    assert unheld.code == 0
    assert "THIRDSENTRY_ANCHOR_BUCKET is not set" in unheld.err


def test_without_a_bucket_chains_verify_with_a_warning(thirdsentry, logs, monkeypatch):
    monkeypatch.delenv("THIRDSENTRY_ANCHOR_BUCKET")
    found = thirdsentry("audit", "verify", "--json")
    assert found.code == 0
    assert found.document["anchor_bucket"] is None
    assert {one["anchors_compared"] for one in found.document["organizations"]} == {None}
    assert found.err.count("\n") == 1
    assert "not compared with anchors" in found.err


def test_a_bucket_that_cannot_be_used_fails_and_the_chains_are_verified_nevertheless(
    thirdsentry, logs, monkeypatch
):
    monkeypatch.setenv("THIRDSENTRY_ANCHOR_BUCKET", "no-such-bucket")
    for arguments in ((), ("--organization", ORGANIZATION)):
        found = thirdsentry("audit", "verify", *arguments, "--json")
        assert found.code == 1
        assert found.document["is_intact"] is True
        assert all(one["rows"] == 4 for one in found.document["organizations"])
        assert found.err.count("\n") == 1
        assert "THIRDSENTRY_ANCHOR_BUCKET" in found.err


def test_a_bucket_that_cannot_be_used_fails_without_any_organization_too(
    thirdsentry, lab, monkeypatch
):
    monkeypatch.setenv("THIRDSENTRY_ANCHOR_BUCKET", "no-such-bucket")
    found = thirdsentry("audit", "verify", "--json")
    assert found.code == 1
    assert found.document["organizations"] == []
    assert "no-such-bucket" in found.err


def test_an_organization_that_only_its_anchors_remember_is_not_left_out(thirdsentry, anchors, lab):
    with lab.database.engine("admin").begin() as c:
        c.exec_driver_sql(
            "update warehouse.organizations set deleted_at = now()"
            f" where organization_id = '{ORGANIZATION}'"
        )
    tamper(lab.database.engine("admin"), CUT_TAIL.format(ORGANIZATION), REPAIRED_HEAD)
    found = thirdsentry("audit", "verify")
    assert found.code == 1
    assert f"organization {ORGANIZATION} is broken at sequence number 3" in found.err


@pytest.mark.parametrize("command", ["log", "verify"])
def test_an_unknown_organization_is_wrong_input(thirdsentry, logs, command):
    asked = thirdsentry("audit", command, "--organization", "f" * 24)
    assert asked.code == 2
    assert "f" * 24 in asked.sentence
