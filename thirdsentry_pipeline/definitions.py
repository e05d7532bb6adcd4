"""Everything Dagster loads. Importing it opens nothing and needs no secret."""

import dagster as dg

from thirdsentry_pipeline.assets.anchors import audit_anchors
from thirdsentry_pipeline.assets.checks import evidence_checks
from thirdsentry_pipeline.assets.coverage import coverage_models, dbt_resource, warehouse_tables
from thirdsentry_pipeline.assets.evidence import aws_evidence
from thirdsentry_pipeline.automation.jobs import (
    audit_anchors_job,
    aws_evidence_job,
    coverage_history_job,
    evidence_checks_job,
)
from thirdsentry_pipeline.automation.retention import retention_prune_daily, retention_prune_job
from thirdsentry_pipeline.automation.run_history import (
    run_history_prune_daily,
    run_history_prune_job,
)
from thirdsentry_pipeline.automation.schedules import (
    audit_anchors_daily,
    aws_evidence_daily,
    coverage_history_daily,
    evidence_checks_hourly,
)
from thirdsentry_pipeline.automation.sensors import (
    abandoned_runs,
    coverage_alerts,
    organization_registry,
)
from thirdsentry_pipeline.resources.anchors import AnchorBucketResource
from thirdsentry_pipeline.resources.assume_role import AssumeRoleResource
from thirdsentry_pipeline.resources.keys import TenantKeysResource
from thirdsentry_pipeline.resources.warehouse import WarehouseResource

defs = dg.Definitions(
    assets=[aws_evidence, coverage_models, audit_anchors, *warehouse_tables],
    asset_checks=[evidence_checks],
    jobs=[
        aws_evidence_job,
        evidence_checks_job,
        coverage_history_job,
        audit_anchors_job,
        retention_prune_job,
        run_history_prune_job,
    ],
    schedules=[
        aws_evidence_daily,
        coverage_history_daily,
        evidence_checks_hourly,
        audit_anchors_daily,
        retention_prune_daily,
        run_history_prune_daily,
    ],
    sensors=[organization_registry, abandoned_runs, coverage_alerts],
    resources={
        "assume_role": AssumeRoleResource(),
        "warehouse": WarehouseResource(),
        "keys": TenantKeysResource(),
        "dbt": dbt_resource(),
        "anchor_bucket": AnchorBucketResource(),
    },
    executor=dg.in_process_executor,
)
