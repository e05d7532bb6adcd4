"""The jobs: collecting evidence, checking it, building coverage, anchoring audit logs.

Everything runs in the run's own process: a process per step costs seven interpreter starts.
"""

import dagster as dg

from thirdsentry_pipeline.assets.anchors import KEY as ANCHORS
from thirdsentry_pipeline.assets.checks import evidence_checks
from thirdsentry_pipeline.assets.coverage import coverage_selection
from thirdsentry_pipeline.assets.evidence import MAX_RETRIES_TAG
from thirdsentry_pipeline.assets.evidence_specs import GROUP

MAX_RUNTIME_TAG = "dagster/max_runtime"
EVIDENCE_SECONDS = 1800
SHORT_SECONDS = 900

aws_evidence_job = dg.define_asset_job(
    name="aws_evidence",
    description="Reads every connected account of one organization, for today.",
    selection=dg.AssetSelection.groups(GROUP).without_checks(),
    executor_def=dg.in_process_executor,
    tags={MAX_RUNTIME_TAG: str(EVIDENCE_SECONDS), MAX_RETRIES_TAG: "1"},
)

evidence_checks_job = dg.define_asset_job(
    name="evidence_checks",
    description="Says over all organizations which evidence is stale or not authorized.",
    selection=dg.AssetSelection.checks(evidence_checks),
    executor_def=dg.in_process_executor,
    tags={MAX_RUNTIME_TAG: str(SHORT_SECONDS)},
)

coverage_history_job = dg.define_asset_job(
    name="coverage_history",
    description="Builds the coverage models and writes yesterday's history.",
    selection=coverage_selection,
    executor_def=dg.in_process_executor,
    tags={MAX_RUNTIME_TAG: str(SHORT_SECONDS)},
)

audit_anchors_job = dg.define_asset_job(
    name="audit_anchors",
    description="Puts the head of every organization's audit log under S3 Object Lock.",
    selection=dg.AssetSelection.assets(ANCHORS),
    executor_def=dg.in_process_executor,
    tags={MAX_RUNTIME_TAG: str(EVIDENCE_SECONDS), MAX_RETRIES_TAG: "1"},
)
