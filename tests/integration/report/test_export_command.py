"""``thirdsentry export`` over the real marts."""

import hashlib
import io
import json
import zipfile

import pandas as pd
import pytest
from trestle.oscal.assessment_results import Model

from tests.integration.dbt.coverage_rows import Tenant, hours_ago
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.report.marts import MARTS

pytestmark = pytest.mark.integration


@pytest.fixture
def export(thirdsentry, tenant):
    def make(form, out, *more):
        asked = ("export", "--organization", tenant.organization_id)
        return thirdsentry(*asked, "--format", form, "--out", out, *more)

    return make


def test_csv_holds_every_column_of_every_mart_and_only_own_rows(export, tenant, admin, tmp_path):
    Tenant.add(admin).fill_every_mart()
    tenant.fill_every_mart()
    made = export("csv", tmp_path / "marts", "--json")
    assert (made.code, made.err) == (0, "")
    folder = tmp_path / "marts"
    assert {one.name for one in folder.iterdir()} == {
        "manifest.json",
        *(f"{mart}.csv" for mart in MARTS),
    }
    for mart in MARTS:
        columns = admin.execute(
            "select column_name from information_schema.columns"
            " where table_schema = 'coverage' and table_name = %s order by ordinal_position",
            (mart,),
        ).fetchall()
        table = pd.read_csv(folder / f"{mart}.csv", dtype=str, keep_default_na=False)
        assert list(table.columns) == [row["column_name"] for row in columns]
        assert set(table["organization_id"]) <= {tenant.organization_id}
        (count,) = (
            admin.execute(
                f"select count(*) as rows from coverage.{mart} where organization_id = %s",
                (tenant.organization_id,),
            )
            .fetchone()
            .values()
        )
        assert len(table) == made.document["rows"][mart] == count
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["generated_at"] == made.document["generated_at"]
    for name, told in manifest["files"].items():
        assert told["sha256"] == hashlib.sha256((folder / name).read_bytes()).hexdigest()


def test_user_name_that_is_a_formula_is_text_in_the_csv(export, tenant, tmp_path):
    tenant.observe(
        tenant.connect(),
        EvidenceType.MFA_COVERAGE,
        hours_ago(1),
        verdict="fail",
        payload={"users_without_mfa": ["=HYPERLINK(A1)", "@sum", "bob"]},
    )
    export("csv", tmp_path / "marts")
    table = pd.read_csv(tmp_path / "marts" / "mfa_gaps.csv")
    assert list(table["user_name"]) == ["'=HYPERLINK(A1)", "'@sum", "bob"]


def test_csv_archive(export, tenant, tmp_path):
    tenant.fill_every_mart()
    made = export("csv", tmp_path / "marts.ZIP")
    assert made.out == f"Wrote {tmp_path / 'marts.ZIP'}.\n"
    with zipfile.ZipFile(io.BytesIO((tmp_path / "marts.ZIP").read_bytes())) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == len(MARTS) + 1


def test_oscal_is_valid_and_agrees_with_the_mart(export, tenant, admin, tmp_path):
    connection_id = tenant.connect()
    tenant.observe_all(connection_id, hours_ago(2))
    tenant.observe(connection_id, EvidenceType.ROOT_MFA, hours_ago(1), verdict="fail")
    made = export("oscal", tmp_path / "results.json", "--json")
    assert made.code == 0
    text = (tmp_path / "results.json").read_text(encoding="utf-8")
    result = Model.model_validate_json(text).assessment_results.results[0]
    satisfied = sum(one.target.status.state.value == "satisfied" for one in result.findings)
    passing = admin.execute(
        "select count(*) as controls from coverage.control_coverage where organization_id = %s"
        " and control_status in ('passing', 'not_applicable')",
        (tenant.organization_id,),
    ).fetchone()
    assert satisfied == passing["controls"] > 0
    assert len(result.findings) == made.document["findings"] > satisfied
    assert made.document["oscal_version"].startswith("1.1.")


@pytest.mark.parametrize("form", ["oscal", "csv"])
def test_empty_organization_is_exported_too(export, tmp_path, form):
    made = export(form, tmp_path / "empty.json")
    assert (made.code, made.err) == (0, "")


def test_wrong_input_is_refused_in_one_sentence(export, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for form, out, sentence in (
        ("csv", tmp_path / "full", "is not empty"),
        ("oscal", tmp_path / "full", "is a directory"),
        ("pdf", tmp_path / "x", "pdf"),
    ):
        refused = export(form, out)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err.count("\n") == 1
        assert sentence in refused.err
