"""The product's code location, with its daily requests made as soon as the daemon looks.

The benchmark can't wait for 02:00: a sensor asks the schedule for its run requests, once.
"""

from types import SimpleNamespace

import dagster as dg

from thirdsentry_pipeline import definitions
from thirdsentry_pipeline.automation.jobs import aws_evidence_job
from thirdsentry_pipeline.automation.schedules import aws_evidence_daily
from thirdsentry_pipeline.domain.time import utc_now
from thirdsentry_pipeline.resources.warehouse import WarehouseResource


@dg.sensor(
    name="aws_evidence_at_once",
    job=aws_evidence_job,
    minimum_interval_seconds=3600,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def at_once(
    context: dg.SensorEvaluationContext, warehouse: WarehouseResource
) -> dg.SensorResult | dg.SkipReason:
    """The requests of the schedule's tick of now, when it is first asked."""
    if context.cursor:
        return dg.SkipReason("They were made.")
    tick = SimpleNamespace(scheduled_execution_time=utc_now(), instance=context.instance)
    requests = list(aws_evidence_daily._execution_fn.decorated_fn(tick, warehouse))  # noqa: SLF001
    return dg.SensorResult(run_requests=requests, cursor="made")


defs = dg.Definitions(
    assets=definitions.defs.assets,
    asset_checks=definitions.defs.asset_checks,
    jobs=definitions.defs.jobs,
    sensors=[at_once, *definitions.defs.sensors],
    resources=definitions.defs.resources,
    executor=definitions.defs.executor,
)
