"""``thirdsentry report`` over the real marts."""

import hashlib
from html import unescape
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from tests.integration.dbt.coverage_rows import Tenant, hours_ago
from tests.unit.report.pages import Page
from tests.unit.report.snapshots import HOSTILE
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.report import queries
from thirdsentry_pipeline.warehouse import audit
from thirdsentry_pipeline.warehouse.scope import organization_scope

pytestmark = pytest.mark.integration


@pytest.fixture
def report(thirdsentry, tenant, tmp_path):
    """Make the tenant's report; returns the parsed page."""

    def make():
        path = tmp_path / "report.html"
        made = thirdsentry("report", "--organization", tenant.organization_id, "--out", path)
        assert (made.code, made.err) == (0, "")
        assert made.out == f"Wrote {path}.\n"
        return Page(path.read_text(encoding="utf-8"))

    return make


def test_report_shows_what_the_marts_say(report, tenant, admin, coverage_project):
    admin.execute(
        "update warehouse.organizations set created_at = %s where organization_id = %s",
        (hours_ago(120), tenant.organization_id),
    )
    tenant.fill_every_mart()
    # Other tests may have told these days before this organization was in them.
    admin.execute("delete from coverage.coverage_daily")
    coverage_project.succeed("build", "--select", "coverage_daily")
    told = report().words
    assert "5 stale, 0 missing" in told
    assert f"user of {tenant.organization_id}" in told
    assert "Trojan:EC2/DNSDataExfiltration" in told
    # The tests' payload is not of the shape that a reason is made from.
    assert "The newest read proves that it does not hold." in told
    assert "Controls of all frameworks, as each UTC day closed" in told
    assert "7 of 7 fingerprints matched" in told


def test_report_never_shows_another_organization(report, tenant, admin):
    other = Tenant.add(admin)
    other.fill_every_mart()
    tenant.fill_every_mart()
    html = report().html
    assert tenant.organization_id in html
    assert other.organization_id not in html


def test_reader_recomputes_a_fingerprint_as_the_page_says(report, tenant, coverage_project, admin):
    connection_id = tenant.connect()
    tenant.observe(connection_id, EvidenceType.ROOT_MFA, hours_ago(1))
    page = report()
    row = admin.execute(
        "select evidence_id, fingerprint from warehouse.evidence where organization_id = %s",
        (tenant.organization_id,),
    ).fetchone()
    assert str(row["evidence_id"]) in page.text
    assert row["fingerprint"] in page.text
    command = next(one.text for one in page.all("code") if "payload_canonical" in one.text)
    options = command.split("PGOPTIONS='")[1].split("'")[0]
    query = command.split('"')[3].replace("EVIDENCE-ID", str(row["evidence_id"]))
    with psycopg.connect(coverage_project.database.pipeline_url, options=options) as reader:
        (canonical,) = reader.execute(query).fetchone()
    assert row["fingerprint"] == "fp1:" + hashlib.sha256(canonical.encode()).hexdigest()


def test_report_shows_the_head_of_the_audit_log(report, tenant, pipeline):
    with organization_scope(pipeline, tenant.organization_id) as connection:
        audit.append(connection, "connect", detail={})
        audit.append(connection, "revoke", detail={})
        head = audit.read_log(connection, limit=1)[0]
    page = report()
    assert head["row_hash"] in page.text
    assert "The hash chain of 2 rows was recomputed for this report and is intact." in page.words


def test_evidence_that_is_not_what_was_hashed_is_an_alarm(report, tenant, monkeypatch):
    # A constraint refuses such a row, so the comparison is made to see another text.
    altered = text(str(queries.EVIDENCE).replace("payload_canonical", "payload_canonical || ' '"))
    monkeypatch.setattr(queries, "EVIDENCE", altered)
    tenant.observe(tenant.connect(), EvidenceType.ROOT_MFA, hours_ago(2))
    told = report().words
    assert "Stored evidence does not match its fingerprint" in told
    assert "0 of 1 fingerprint matched" in told


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda _: None, "No account is connected yet"),
        (lambda tenant: tenant.connect(), "Nothing has been read yet"),
        (lambda tenant: tenant.revoke(tenant.connect()), "Every connection is revoked"),
    ],
    ids=["never connected", "never read", "all revoked"],
)
def test_empty_organization_gets_a_page_that_says_what_to_do(report, tenant, prepare, words):
    prepare(tenant)
    told = report().words
    assert words in told
    assert "100.0%" not in told


def test_hostile_organization_name_stays_text(report, tenant, admin):
    name = HOSTILE.replace("\x00", "")
    admin.execute(
        "update warehouse.organizations set name = %s where organization_id = %s",
        (name, tenant.organization_id),
    )
    page = report()
    assert not page.all("script")
    assert "<script>alert(1)</script>" in unescape(page.all("h1")[0].text)
    assert "\u202e" not in page.html


def test_json_names_the_file_and_its_hash(thirdsentry, tenant, tmp_path):
    tenant.observe_all(tenant.connect(), hours_ago(1))
    path = tmp_path / "report.html"
    asked = ("report", "--organization", tenant.organization_id, "--out", path, "--json")
    made = thirdsentry(*asked)
    assert (made.code, made.err) == (0, "")
    document = made.document
    assert document["path"] == str(path)
    assert document["generated_at"].endswith("Z")
    assert document["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (document["passing_pct"], document["covered_pct"]) == (100.0, 100.0)
    assert (document["audit_seq"], document["audit_problem"]) == (0, None)


def test_wrong_input_is_one_sentence_and_writes_nothing(thirdsentry, tenant, tmp_path):
    known, unknown = tenant.organization_id, uuid4().hex[:24]
    for organization, out, sentence in (
        (known, tmp_path, "is a directory"),
        (known, tmp_path / "no" / "report.html", "does not exist"),
        (unknown, tmp_path / "report.html", f"There is no organization {unknown}"),
        ("acme", tmp_path / "report.html", "24"),
    ):
        refused = thirdsentry("report", "--organization", organization, "--out", out)
        assert refused.code == 2
        assert refused.out == ""
        assert refused.err.count("\n") == 1
        assert sentence in refused.err
    assert not (tmp_path / "report.html").exists()


def test_failed_report_leaves_the_last_one(thirdsentry, tenant, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("the last one")
    monkeypatch.setenv("THIRDSENTRY_DATABASE_URL", "postgresql://nobody:x@127.0.0.1:1/thirdsentry")
    failed = thirdsentry("report", "--organization", tenant.organization_id, "--out", path)
    assert failed.code == 1
    assert failed.err.count("\n") == 1
    assert path.read_text() == "the last one"
