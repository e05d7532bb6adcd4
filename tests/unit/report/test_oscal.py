"""The OSCAL document: valid, complete, and never kinder than the marts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from trestle.oscal.assessment_results import Model

from tests.unit.report import snapshots as states
from tests.unit.report.pieces import KINDS, NOW, SECOND_ACCOUNT, evidence
from tests.unit.report.snapshots import snapshot
from thirdsentry_pipeline.report.oscal import OSCAL_VERSION, assessment_results
from thirdsentry_pipeline.report.oscal_parts import NAMESPACE, control_token, prop

STATES = [
    states.all_passing,
    states.never_connected,
    states.never_read,
    states.all_revoked,
    states.of_every_kind,
    states.of_hostile_names,
]


def values(part):
    return {one["name"]: one["value"] for one in part["props"]}


def result_of(state):
    return assessment_results(state)["assessment-results"]["results"][0]


def findings_of(state):
    return {values(one)["control-id"]: one for one in result_of(state)["findings"]}


def uuids(part):
    """Every ``uuid`` that names a part; references have other names."""
    if isinstance(part, dict):
        if "uuid" in part:
            yield part["uuid"]
        for value in part.values():
            yield from uuids(value)
    elif isinstance(part, list):
        for value in part:
            yield from uuids(value)


@pytest.mark.parametrize("state", STATES, ids=lambda one: one.__name__)
def test_document_is_valid_and_says_its_version(state):
    document = assessment_results(state())
    read = Model.model_validate_json(json.dumps(document))
    assert read.assessment_results.metadata.oscal_version.root.root == OSCAL_VERSION
    assert OSCAL_VERSION.startswith("1.1.")


@pytest.mark.parametrize("state", STATES, ids=lambda one: one.__name__)
def test_parts_are_named_once_and_references_resolve(state):
    document = assessment_results(state())["assessment-results"]
    named = list(uuids(document))
    assert len(named) == len(set(named))
    result = document["results"][0]
    observations = {one["uuid"] for one in result.get("observations", [])}
    for one in result["findings"]:
        for related in one.get("related-observations", []):
            assert related["observation-uuid"] in observations
    for one in result.get("observations", []):
        assert {subject["subject-uuid"] for subject in one["subjects"]} <= set(named)
    objectives = {
        part["id"]
        for one in document["local-definitions"]["objectives-and-methods"]
        for part in one["parts"]
    }
    assert {one["target"]["target-id"] for one in result["findings"]} == objectives
    assert document["import-ap"]["href"].removeprefix("#") in set(named)


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        ("passing", "satisfied", "pass"),
        ("not_applicable", "satisfied", "other"),
        ("failing", "not-satisfied", "fail"),
        ("missing", "not-satisfied", "other"),
        ("stale", "not-satisfied", "other"),
        ("pending", "not-satisfied", "other"),
    ],
)
def test_only_what_is_proven_is_satisfied_and_the_reason_stands_beside_it(status, state, reason):
    whole = states.all_passing()
    one = replace(whole.controls[0], control_status=status)
    found = findings_of(replace(whole, controls=(one,)))[one.control_id]
    assert found["target"]["status"] == {"state": state, "reason": reason}
    assert values(found)["control-status"] == status


def test_every_control_has_a_finding_by_its_own_evidence():
    whole = states.of_every_kind()
    found = findings_of(whole)
    assert set(found) == {one.control_id for one in whole.controls}
    assert len(found["2.5"]["related-observations"]) == 2
    counts = Counter(one["target"]["status"]["state"] for one in found.values())
    assert counts["satisfied"] == sum(one.control_status == "passing" for one in whole.controls)


def test_observation_carries_fingerprint_time_and_end_of_validity():
    piece = evidence(KINDS[0], regions_unread=("eu-west-3",))
    told = result_of(snapshot((piece,), (states.connection(),)))["observations"][0]
    known = values(told)
    assert known["fingerprint"] == piece.fingerprint
    assert known["evidence-id"] == str(piece.evidence_id)
    assert known["run-id"] == str(piece.run_id)
    assert known["regions-unread"] == "eu-west-3"
    assert known["is-fresh"] == "true"
    assert told["collected"] == "2026-03-02T04:30:15.123456Z"
    assert told["expires"] == "2026-03-04T04:30:15.123456Z"


def test_denied_read_is_an_observation_without_evidence():
    tried = evidence(
        KINDS[0],
        "not_authorized",
        last_attempt_at=NOW - timedelta(hours=1),
        last_attempt_status="denied",
    )
    told = result_of(snapshot((tried,), (states.connection(),)))["observations"][0]
    assert told["collected"] == "2026-03-02T08:30:15.123456Z"
    assert "expires" not in told
    assert "relevant-evidence" not in told
    assert values(told)["error-code"] == "denied"


def test_what_was_never_tried_is_no_observation():
    result = result_of(states.never_read())
    assert "observations" not in result
    assert all("related-observations" not in one for one in result["findings"])


def test_control_ids_are_those_of_nists_catalog_and_unique():
    controls = states.all_passing().controls
    tokens = {one.control_id: control_token(one) for one in controls}
    assert tokens["AC-2(1)"] == "ac-2.1"
    assert tokens["CC6.1"] == "cc6.1"
    assert tokens["2.5"] == "cis_aws-2.5"
    assert tokens["10.2.1.1"] == "pci_dss-10.2.1.1"
    assert len(set(tokens.values())) == len(controls)


def test_equal_snapshots_give_equal_documents_and_later_ones_keep_their_findings():
    early, late = states.of_every_kind(), states.of_every_kind()
    assert assessment_results(early) == assessment_results(late)
    late = replace(late, taken_at=NOW + timedelta(hours=1))
    names = [{one["uuid"] for one in result_of(state)["findings"]} for state in (early, late)]
    assert names[0] == names[1]
    assert result_of(early)["uuid"] != result_of(late)["uuid"]


def test_revoked_accounts_are_not_assessed():
    titles = [
        one["title"] for one in result_of(states.of_every_kind())["local-definitions"]["components"]
    ]
    assert titles == [f"AWS account {states.FIRST_ACCOUNT}", f"AWS account {SECOND_ACCOUNT}"]


def test_chain_head_is_part_of_the_result():
    known = values(result_of(states.all_passing()))
    assert (known["audit-seq"], known["audit-chain"]) == ("12", "intact")
    assert known["audit-row-hash"] == "ab" * 32


def test_without_mapped_controls_the_document_is_still_valid():
    bare = replace(states.all_passing(), controls=(), frameworks=())
    Model.model_validate_json(json.dumps(assessment_results(bare)))


def test_property_values_are_single_inert_lines():
    assert prop("name", " a\nb\u202e ") == {
        "name": "name",
        "ns": NAMESPACE,
        "value": "a<U+000A>b<U+202E>",
    }
