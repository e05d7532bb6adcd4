"""The asset ``audit/anchors``: the audit logs' heads, where no database login reaches."""

from typing import Any

import dagster as dg

from thirdsentry_pipeline.assets.evidence import failure
from thirdsentry_pipeline.assets.evidence_specs import OWNER
from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.operations.audit import AnchorOutcome, anchor_organizations
from thirdsentry_pipeline.resources.anchors import AnchorBucketResource
from thirdsentry_pipeline.resources.warehouse import WarehouseResource

GROUP = "audit"
KEY = dg.AssetKey([GROUP, "anchors"])
SAMPLE_SIZE = 20


@dg.asset(
    key=KEY,
    group_name=GROUP,
    owners=[OWNER],
    kinds={"s3", "postgres"},
    description="Each organization's last audit row and its hash, in S3 under Object Lock.",
)
def audit_anchors(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseResource,
    anchor_bucket: AnchorBucketResource,
) -> dg.MaterializeResult[None]:
    """Anchor every live organization whose log is intact and has grown.

    It is materialized when every organization is anchored; else the run fails and names those
    that are not, with the others anchored nevertheless.
    """
    try:
        bucket = anchor_bucket.bucket()
    except ConfigurationError as error:
        message = f"{error} Or turn the schedule audit_anchors_daily off."
        raise failure(context, message, may_help=False) from None
    outcomes = anchor_organizations(warehouse.pipeline, warehouse.scheduler, bucket)
    metadata = metadata_of(bucket.name, outcomes)
    failed = [one for one in outcomes if one.problem is not None]
    if failed:
        context.log_event(dg.AssetObservation(asset_key=KEY, metadata=metadata))
        problems = " ".join(dict.fromkeys(str(one.problem) for one in failed[:SAMPLE_SIZE]))
        raise failure(
            context,
            f"{len(failed)} of {len(outcomes)} organizations are not anchored. {problems}",
            may_help=any(one.may_help for one in failed),
        )
    return dg.MaterializeResult(metadata=metadata)


def metadata_of(bucket: str, outcomes: list[AnchorOutcome]) -> dict[str, Any]:
    """Counts, and a sample of the organizations that have no new anchor."""
    failed = [one for one in outcomes if one.problem is not None]
    return {
        "bucket": bucket,
        "organizations": len(outcomes),
        "anchored": sum(one.is_new for one in outcomes),
        "unchanged": sum(not one.is_new and one.problem is None for one in outcomes),
        "failed": len(failed),
        "sample": dg.MetadataValue.json(
            [
                {"organization_id": one.organization_id, "problem": one.problem}
                for one in failed[:SAMPLE_SIZE]
            ]
        ),
    }
