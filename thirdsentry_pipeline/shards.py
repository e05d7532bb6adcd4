"""Code locations for more organizations than one location's pages are quick with.

``workspace.yaml`` names attributes of this module: ``overall`` once, and ``shard_1_of_2`` and
``shard_2_of_2`` (or any other count, all of them). Each shard collects its organizations with
the same asset keys; ``overall`` holds everything that looks at all organizations. The attribute
is part of every run's origin, so that a run's process, wherever it is launched, needs no
variable to know its shard.
"""

import re

import dagster as dg

from thirdsentry_pipeline.assets.evidence import aws_evidence
from thirdsentry_pipeline.automation.jobs import aws_evidence_job
from thirdsentry_pipeline.automation.schedules import evidence_schedule
from thirdsentry_pipeline.automation.sensors import registry_of
from thirdsentry_pipeline.definitions import defs
from thirdsentry_pipeline.domain.shards import Shard, parse_shard
from thirdsentry_pipeline.partitions import current_partitions_of

OF_A_SHARD = ("assume_role", "warehouse", "keys")
PER_SHARD = {"aws_evidence", "aws_evidence_daily", "organization_registry"}
_SHARD = re.compile("shard_.*")


def shard_definitions(shard: Shard) -> dg.Definitions:
    """Collecting one shard's organizations: assets, job, schedule and registry, nothing else."""
    partitions = current_partitions_of(shard)
    return dg.Definitions(
        assets=dg.map_asset_specs(
            lambda spec: spec.replace_attributes(partitions_def=partitions), [aws_evidence]
        ),
        jobs=[aws_evidence_job],
        schedules=[evidence_schedule(shard)],
        sensors=[registry_of(shard)],
        resources={name: (defs.resources or {})[name] for name in OF_A_SHARD},
        executor=dg.in_process_executor,
    )


def overall_definitions() -> dg.Definitions:
    """Everything that there must be once: coverage, checks, anchors, alerts, sweeps, pruning.

    The evidence assets are known here by their keys alone, for lineage and checks.
    """
    return dg.Definitions(
        assets=[one for one in defs.assets or () if one is not aws_evidence],
        asset_checks=defs.asset_checks,
        jobs=[one for one in defs.jobs or () if one.name not in PER_SHARD],
        schedules=[one for one in defs.schedules or () if one.name not in PER_SHARD],
        sensors=[one for one in defs.sensors or () if one.name not in PER_SHARD],
        resources=defs.resources,
        executor=defs.executor,
    )


overall = overall_definitions()


def __getattr__(name: str) -> dg.Definitions:
    """The definitions of a shard that a workspace file names."""
    if not _SHARD.fullmatch(name):
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return shard_definitions(parse_shard(name))
