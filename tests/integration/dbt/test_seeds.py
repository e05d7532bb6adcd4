"""The seeds say what the code and the mapping page say, both ways."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict

import pytest
import yaml

from tests.integration.dbt.dbt_command import PROJECT
from thirdsentry_pipeline.domain.evidence import EvidenceType

MFA = "AC-2(1) AC-3 IA-2(1) IA-2(2) IA-2(6) IA-2(8)"
AUDIT = "10.2.1.1 10.2.1.2 10.2.1.3 10.2.1.4 10.2.1.5 10.2.1.6 10.2.1.7 10.2.2"
# A star marks our own judgement; everything else is in public mappings.
MAPPING = {
    "soc2": {
        EvidenceType.ROOT_MFA: "CC6.1* CC6.6",
        EvidenceType.MFA_COVERAGE: "CC6.1* CC6.6",
        EvidenceType.PASSWORD_POLICY: "CC6.1 CC6.2",
        EvidenceType.CLOUDTRAIL_LOGGING: "CC7.2",
        EvidenceType.S3_PUBLIC_ACCESS_BLOCK: "CC6.1 CC6.6",
        EvidenceType.GUARDDUTY_STATUS: "CC6.8 CC7.1 CC7.2 CC7.3",
        EvidenceType.GUARDDUTY_FINDINGS: "CC7.3 CC7.4",
    },
    "iso_27001": {
        EvidenceType.ROOT_MFA: "A.5.15 A.5.17 A.8.5",
        EvidenceType.MFA_COVERAGE: "A.5.15 A.5.17 A.8.5",
        EvidenceType.PASSWORD_POLICY: "A.5.15 A.5.17*",
        EvidenceType.CLOUDTRAIL_LOGGING: "A.8.15 A.8.16",
        EvidenceType.S3_PUBLIC_ACCESS_BLOCK: "A.5.15 A.8.3 A.8.9*",
        EvidenceType.GUARDDUTY_STATUS: "A.5.7 A.8.16*",
        EvidenceType.GUARDDUTY_FINDINGS: "A.5.25 A.5.26*",
    },
    "nist_800_53": {
        EvidenceType.ROOT_MFA: MFA,
        EvidenceType.MFA_COVERAGE: MFA,
        EvidenceType.PASSWORD_POLICY: "IA-5 IA-5(1) AC-2(3)",
        EvidenceType.CLOUDTRAIL_LOGGING: (
            "AU-2 AU-3 AU-12 AU-6(3) AU-6(4) AU-14(1) AC-6(9) CA-7 SI-4(20)"
        ),
        EvidenceType.S3_PUBLIC_ACCESS_BLOCK: "AC-3 AC-3(7) AC-4 AC-6 AC-21 SC-7 SC-7(3) SC-7(4)",
        EvidenceType.GUARDDUTY_STATUS: "AU-6(1) CA-7 RA-3(4) SI-3(8) SI-4 SI-20",
        EvidenceType.GUARDDUTY_FINDINGS: "IR-4",
    },
    "cis_aws": {
        EvidenceType.ROOT_MFA: "2.5",
        EvidenceType.MFA_COVERAGE: "2.10",
        EvidenceType.PASSWORD_POLICY: "2.8 2.9",
        EvidenceType.CLOUDTRAIL_LOGGING: "4.1",
        EvidenceType.S3_PUBLIC_ACCESS_BLOCK: "3.1.4",
    },
    "pci_dss": {
        EvidenceType.ROOT_MFA: "8.4.1 8.4.2 8.4.3",
        EvidenceType.MFA_COVERAGE: "8.4.1 8.4.2 8.4.3",
        EvidenceType.PASSWORD_POLICY: "8.3.6 8.3.7*",
        EvidenceType.CLOUDTRAIL_LOGGING: AUDIT,
        EvidenceType.S3_PUBLIC_ACCESS_BLOCK: "1.4.4",
        EvidenceType.GUARDDUTY_STATUS: "11.5.1",
        EvidenceType.GUARDDUTY_FINDINGS: "12.10.5*",
    },
}


def seed(name: str) -> list[dict[str, str]]:
    with (PROJECT / "seeds" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("framework", MAPPING)
def test_controls_need_the_evidence_of_the_mapping(framework):
    found = defaultdict(set)
    for row in seed("control_evidence_map"):
        if row["framework"] == framework:
            mark = "*" if row["source"].startswith("[J]") else ""
            found[row["evidence_type"]].add(row["control_id"] + mark)
    assert found == {kind: set(ids.split()) for kind, ids in MAPPING[framework].items()}


def test_map_names_known_frameworks_and_no_row_twice():
    rows = seed("control_evidence_map")
    versions = {row["framework"]: row["framework_version"] for row in seed("frameworks")}
    assert {row["framework"]: row["framework_version"] for row in rows} == versions
    keys = Counter((row["framework"], row["control_id"], row["evidence_type"]) for row in rows)
    assert set(keys.values()) == {1}


def test_evidence_types_are_those_of_the_code():
    declared = {row["evidence_type"]: row["asset_name"] for row in seed("evidence_types")}
    assert declared == {kind.value: kind.asset_name for kind in EvidenceType}


def test_every_evidence_asset_is_a_source_that_the_coverage_is_built_on():
    (source,) = yaml.safe_load((PROJECT / "models/sources/aws.yml").read_text())["sources"]
    keys = {tuple(table["config"]["meta"]["dagster"]["asset_key"]) for table in source["tables"]}
    assert keys == {("aws", kind.asset_name) for kind in EvidenceType}
    filters = {table["config"]["freshness"]["filter"] for table in source["tables"]}
    assert filters == {f"evidence_type = '{kind.value}'" for kind in EvidenceType}
    state = (PROJECT / "models/staging/stg_warehouse__evidence_state.sql").read_text()
    for kind in EvidenceType:
        assert f"source('aws', '{kind.asset_name}')" in state


def test_models_are_short():
    for model in PROJECT.glob("models/**/*.sql"):
        assert len(model.read_text().splitlines()) <= 80, model
