"""A snapshot as OSCAL Assessment Results (JSON). Pure: equal snapshots give equal documents.

OSCAL knows ``satisfied`` and ``not-satisfied``. Whatever is not proven is not satisfied; the
status behind it (failing, missing, stale, pending) stands beside it as a property.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from thirdsentry_pipeline.report.inert import inert_line
from thirdsentry_pipeline.report.oscal_parts import (
    Part,
    account_id,
    control_token,
    identifier,
    known,
    moment,
    objective_token,
    observation_id,
    props,
)
from thirdsentry_pipeline.report.reasons import control_reasons, evidence_reason
from thirdsentry_pipeline.report.words import sentence, status_word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thirdsentry_pipeline.report.snapshot import Control, Evidence, Snapshot

OSCAL_VERSION = "1.1.3"
TOOL = identifier("tool", "thirdsentry")
PROVIDER = identifier("party", "thirdsentry")
PLAN = identifier("resource", "assessment plan")
BY_THE_TOOL: list[Part] = [{"actors": [{"type": "tool", "actor-uuid": TOOL}]}]


def assessment_results(snapshot: Snapshot) -> Part:
    """The whole document."""
    name = inert_line(snapshot.totals.organization_name)
    taken_at = moment(snapshot.taken_at)
    subject = identifier("party", snapshot.organization_id)
    return {
        "assessment-results": {
            "uuid": identifier("document", snapshot.organization_id, taken_at),
            "metadata": {
                "title": f"Continuous assessment of AWS accounts: {name}",
                "last-modified": taken_at,
                "version": taken_at,
                "oscal-version": OSCAL_VERSION,
                "props": props(organization_id=snapshot.organization_id),
                "roles": [
                    {"id": "assessed", "title": "Organization whose accounts are assessed"},
                    {"id": "assessor", "title": "Operator of the automated assessment"},
                ],
                "parties": [
                    {"uuid": subject, "type": "organization", "name": name},
                    {"uuid": PROVIDER, "type": "organization", "name": "ThirdSentry"},
                ],
                "responsible-parties": [
                    {"role-id": "assessed", "party-uuids": [subject]},
                    {"role-id": "assessor", "party-uuids": [PROVIDER]},
                ],
            },
            "import-ap": {
                "href": f"#{PLAN}",
                "remarks": "The assessment runs by itself every day; the resource describes it.",
            },
            "local-definitions": known(
                {"objectives-and-methods": [_objective(one) for one in snapshot.controls]}
            ),
            "results": [_result(snapshot)],
            "back-matter": {"resources": [_plan()]},
        }
    }


def _plan() -> Part:
    return {
        "uuid": PLAN,
        "title": "Automated daily assessment",
        "description": (
            "Once a day every connected AWS account is read through a role of the customer's. "
            "A rule judges each kind of evidence; the facts are stored with a fingerprint. A "
            "control is proven while all evidence it needs, of every connected account, is "
            "fresh and passes."
        ),
    }


def _objective(control: Control) -> Part:
    needs = ", ".join(control.evidence_types)
    return {
        "control-id": control_token(control),
        "props": props(
            framework=control.framework,
            framework_version=control.framework_version,
            control_id=control.control_id,
        ),
        "parts": [
            {
                "id": objective_token(control),
                "name": "assessment-objective",
                "prose": f"{inert_line(control.control_title)}: as far as {needs} can prove it.",
            }
        ],
    }


def _result(snapshot: Snapshot) -> Part:
    taken_at = moment(snapshot.taken_at)
    observations = [_observation(snapshot, one) for one in snapshot.evidence if observation_id(one)]
    begun_at = min((one["collected"] for one in observations), default=taken_at)
    evidence: dict[str, list[Evidence]] = {}
    for one in snapshot.evidence:
        evidence.setdefault(one.evidence_type, []).append(one)
    return known(
        {
            "uuid": identifier("result", snapshot.organization_id, taken_at),
            "title": "Controls by their newest evidence",
            "description": f"How every mapped control stood at {taken_at}.",
            "start": begun_at,
            "end": taken_at,
            "props": props(
                passing_pct=snapshot.totals.passing_pct,
                covered_pct=snapshot.totals.covered_pct,
                audit_seq=snapshot.audit.seq,
                audit_row_hash=snapshot.audit.row_hash,
                audit_chain="intact" if snapshot.audit.problem is None else "broken",
            ),
            "local-definitions": known(
                {"components": _accounts(snapshot), "assessment-assets": _assets()}
            ),
            "reviewed-controls": _reviewed(snapshot),
            "observations": observations,
            "findings": [_finding(snapshot, one, evidence) for one in snapshot.controls],
        }
    )


def _accounts(snapshot: Snapshot) -> list[Part]:
    return [
        {
            "uuid": identifier("component", one.connection_id),
            "type": "service",
            "title": f"AWS account {one.account_id}",
            "description": f"An AWS account, connected at {moment(one.connected_at)}.",
            "props": props(
                account_id=one.account_id,
                connection_id=one.connection_id,
                connection_status=one.status,
                role_arn=one.role_arn,
                waived_regions=", ".join(sorted(one.waived_region_reasons)) or None,
            ),
            "status": {"state": "operational"},
        }
        for one in snapshot.connections
        if one.deleted_at is None
    ]


def _assets() -> Part:
    return {
        "components": [
            {
                "uuid": TOOL,
                "type": "software",
                "title": "ThirdSentry",
                "description": "Reads AWS accounts, judges and fingerprints what it reads.",
                "status": {"state": "operational"},
            }
        ],
        "assessment-platforms": [
            {
                "uuid": identifier("platform", "thirdsentry"),
                "title": "ThirdSentry pipeline",
                "uses-components": [{"component-uuid": TOOL}],
            }
        ],
    }


def _reviewed(snapshot: Snapshot) -> Part:
    if not snapshot.controls:
        return {"control-selections": [{"include-all": {}}]}
    names = {one.framework: one.framework_name for one in snapshot.frameworks}
    return {
        "control-selections": [
            {
                "description": f"{names[framework]} {version}",
                "props": props(framework=framework, framework_version=version),
                "include-controls": [{"control-id": control_token(one)} for one in controls],
            }
            for (framework, version), controls in groupby(
                snapshot.controls, key=lambda one: (one.framework, one.framework_version)
            )
        ],
        "control-objective-selections": [
            {
                "include-objectives": [
                    {"objective-id": objective_token(one)} for one in snapshot.controls
                ]
            }
        ],
    }


def _observation(snapshot: Snapshot, evidence: Evidence) -> Part:
    connection = next(
        (one for one in snapshot.connections if one.connection_id == evidence.connection_id), None
    )
    reason = inert_line(evidence_reason(evidence, connection, snapshot.taken_at))
    was_read = evidence.last_ok_at is not None
    return known(
        {
            "uuid": observation_id(evidence),
            "title": f"{evidence.evidence_title}: account {evidence.account_id}",
            "description": sentence(f"{status_word(evidence.evidence_status)}: {reason}"),
            "props": props(
                evidence_type=evidence.evidence_type,
                evidence_status=evidence.evidence_status,
                is_fresh=evidence.is_fresh,
                verdict=evidence.verdict,
                evidence_id=evidence.evidence_id,
                fingerprint=evidence.fingerprint,
                first_observed_at=moment(evidence.first_observed_at),
                observed_at=moment(evidence.observed_at),
                run_id=evidence.run_id,
                regions_unread=", ".join(evidence.regions_unread or ()) or None,
                last_attempt_at=moment(evidence.last_attempt_at),
                last_attempt_status=evidence.last_attempt_status,
                error_code=evidence.last_error_code,
            ),
            "methods": ["TEST"],
            "types": ["control-objective"],
            "origins": BY_THE_TOOL,
            "subjects": [{"subject-uuid": account_id(evidence), "type": "component"}],
            "relevant-evidence": [_relevant(evidence)] if evidence.fingerprint else [],
            "collected": moment(evidence.last_ok_at or evidence.last_attempt_at),
            "expires": moment(evidence.stale_at) if was_read else None,
        }
    )


def _relevant(evidence: Evidence) -> Part:
    return {
        "description": (
            f"The facts read from AWS, stored as evidence {evidence.evidence_id}. The "
            "fingerprint is the SHA-256 of their canonical form (RFC 8785)."
        ),
        "props": props(fingerprint=evidence.fingerprint, evidence_id=evidence.evidence_id),
    }


def _finding(
    snapshot: Snapshot, control: Control, evidence: Mapping[str, Sequence[Evidence]]
) -> Part:
    connections = {one.connection_id: one for one in snapshot.connections}
    reasons = control_reasons(control, evidence, connections, snapshot.taken_at)
    needed = [one for kind in control.evidence_types for one in evidence.get(kind, ())]
    told_by = [name for name in map(observation_id, needed) if name]
    status = control.control_status
    return known(
        {
            "uuid": identifier(
                "finding", snapshot.organization_id, control.framework, control.control_id
            ),
            "title": f"{control.control_id}: {inert_line(control.control_title)}",
            "description": f"{status_word(status)}. {inert_line(' '.join(reasons))}",
            "props": props(
                framework=control.framework,
                framework_version=control.framework_version,
                control_id=control.control_id,
                control_status=status,
                is_covered=control.is_covered,
                evidence_required=control.evidence_required,
                evidence_fresh=control.evidence_fresh,
                oldest_evidence_at=moment(control.oldest_evidence_at),
                next_stale_at=moment(control.next_stale_at),
            ),
            "origins": BY_THE_TOOL,
            "target": {
                "type": "objective-id",
                "target-id": objective_token(control),
                "status": {
                    "state": "satisfied"
                    if status in {"passing", "not_applicable"}
                    else "not-satisfied",
                    "reason": {"passing": "pass", "failing": "fail"}.get(status, "other"),
                },
            },
            "related-observations": [{"observation-uuid": name} for name in told_by],
        }
    )
