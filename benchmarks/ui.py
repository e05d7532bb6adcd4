"""The questions that the Dagster UI asks, with a history of many organizations behind them.

Their text is that of the UI's own bundle, less what only names or draws things.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from benchmarks.rows import Row, seconds_of
from benchmarks.run_history import fill_runs
from thirdsentry_pipeline.automation.instance import instance_environment, write_instance
from thirdsentry_pipeline.local.dagster_server import PATIENT, wait_until_ready, write_workspace
from thirdsentry_pipeline.local.postgres import free_port
from thirdsentry_pipeline.local.processes import HOST, ChildProcesses

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.lab import Lab

_FIRST = 900_000
_ASSET = {"path": ["aws", "iam_mfa_coverage"]}
_TIMEOUT_SECONDS = 300

_DEFINITION = """
query AssetViewDefinitionQuery($assetKey: AssetKeyInput!) {
  assetOrError(assetKey: $assetKey) { ... on Asset {
    id key { path } hasDefinitionOrRecord assetMaterializations(limit: 1) { timestamp runId }
    definition {
      id groupName isExecutable description computeKind hasMaterializePermission
      partitionDefinition { description dimensionTypes { type dynamicPartitionsDefinitionName } }
      partitionKeysByDimension { name }
      owners { ... on TeamAssetOwner { team } } backfillPolicy { description }
      requiredResources { resourceKey } repository { id name location { id name } }
      metadataEntries { label } jobNames tags { key value }
      dependencyKeys { path } dependedByKeys { path }
    }
  } }
}"""
_LIVE = """
query AssetGraphLiveQuery($assetKeys: [AssetKeyInput!]!) {
  assetNodes(assetKeys: $assetKeys, loadMaterializations: true) {
    id opNames repository { id } assetKey { path }
    assetMaterializations(limit: 1) { timestamp runId }
    assetChecksOrError { ... on AssetChecks { checks { name canExecuteIndividually
      executionForLatestMaterialization { id runId status timestamp } } } }
    partitionStats { numMaterialized numMaterializing numPartitions numFailed }
  }
  assetsLatestInfo(assetKeys: $assetKeys) {
    id assetKey { path } unstartedRunIds inProgressRunIds
    latestMaterialization { timestamp runId } latestRun { id status endTime }
  }
}"""
_EVENTS = """
query RecentAssetEventsQuery($assetKey: AssetKeyInput!, $limit: Int!,
    $eventTypeSelectors: [AssetEventHistoryEventTypeSelector!]!) {
  assetOrError(assetKey: $assetKey) { ... on Asset { id key { path }
    assetEventHistory(limit: $limit, eventTypeSelectors: $eventTypeSelectors) {
      results { ... on MaterializationEvent {
        partition tags { key value } runOrError { ... on Run { id mode status pipelineName } }
        runId timestamp stepKey label description
        metadataEntries { label description ... on MarkdownMetadataEntry { mdStr }
          ... on IntMetadataEntry { intValue } ... on JsonMetadataEntry { jsonString } }
      } } cursor } } }
}"""
_GRID = """
query PartitionHealthQuery($assetKey: AssetKeyInput!) {
  assetNodeOrError(assetKey: $assetKey) { ... on AssetNode {
    id partitionKeysByDimension { name type partitionKeys }
    assetPartitionStatuses {
      ... on TimePartitionStatuses { ranges { status startTime endTime startKey endKey } }
      ... on DefaultPartitionStatuses {
        materializedPartitions materializingPartitions failedPartitions }
      ... on MultiPartitionStatuses { primaryDimensionName ranges {
        primaryDimStartKey primaryDimEndKey primaryDimStartTime primaryDimEndTime
        secondaryDim {
          ... on TimePartitionStatuses { ranges { status startTime endTime startKey endKey } }
          ... on DefaultPartitionStatuses {
            materializedPartitions materializingPartitions failedPartitions }
        } } }
    } } }
}"""
_RUNS = """
query RunsFeedRootQuery($limit: Int!, $filter: RunsFilter, $view: RunsFeedView!) {
  runsFeedOrError(limit: $limit, filter: $filter, view: $view) { ... on RunsFeedConnection {
    cursor hasMore results {
      id runStatus creationTime startTime endTime jobName tags { key value }
      assetSelection { path } assetCheckSelection { name }
      ... on Run { hasReExecutePermission hasTerminatePermission hasDeletePermission canTerminate
        pipelineName pipelineSnapshotId repositoryOrigin { id repositoryName } }
    } } ... on PythonError { message } }
}"""
_KINDS = ["MATERIALIZATION", "OBSERVATION", "FAILED_TO_MATERIALIZE"]
_ONE_ASSET = {"assetKey": _ASSET}


def ui(lab: Lab, organizations: int, days: int) -> list[Row]:
    """The asset page, the partition grid and the run list, first asked and asked again."""
    name, grown, rows = fill_runs(lab, _FIRST, organizations, days)
    asked = {
        "asset page: definition": (_DEFINITION, _ONE_ASSET),
        "asset page: status": (_LIVE, {"assetKeys": [_ASSET]}),
        "asset page: its last 100 events": (
            _EVENTS,
            {**_ONE_ASSET, "limit": 100, "eventTypeSelectors": _KINDS},
        ),
        "partition grid": (_GRID, _ONE_ASSET),
        "run list": (_RUNS, {"limit": 30, "view": "ROOTS", "filter": {}}),
        "run list of one organization": (
            _RUNS,
            {
                "limit": 30,
                "view": "ROOTS",
                "filter": {"tags": [{"key": "thirdsentry/organization", "value": name}]},
            },
        ),
    }
    size = f"{organizations:,} organizations x {days} days"
    found = [
        Row(
            f"Dagster's database per organization and day ({size})",
            f"{rows:.0f} rows, {grown / 1024:.1f} KiB",
        )
    ]
    port = free_port()
    write_instance(lab.settings)
    command = [sys.executable, "-m", "dagster_webserver"]
    command += ["-w", str(write_workspace(lab.settings)), "-h", HOST, "-p", str(port), *PATIENT]
    environment = {**os.environ, **instance_environment(lab.settings)}
    with ChildProcesses(lab.settings.home / "logs") as children:
        children.start("dagster-webserver", command, environment)
        wait_until_ready(children, port)
        log = lab.settings.home / "logs" / "dagster-webserver.log"
        for what, (query, variables) in asked.items():
            found.append(Row(f"Dagster UI, {size}: {what}", _shown(port, query, variables, log)))
    return found


def _shown(port: int, query: str, variables: dict[str, Any], log: Path) -> str:
    """How long it took; or, of a page that can't be shown, why: the others are still asked."""
    try:
        first = seconds_of(lambda: _ask(port, query, variables))
        again = statistics.median(seconds_of(lambda: _ask(port, query, variables)) for _ in "12345")
    except (HTTPError, TimeoutError) as error:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        return f"failed: {error} ({' '.join(last)[:200]})"
    return f"{again:.2f} s ({first:.2f} s the first time)"


def _ask(port: int, query: str, variables: dict[str, Any]) -> None:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = Request(f"http://{HOST}:{port}/graphql", body, {"content-type": "application/json"})
    with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - same
        told = json.load(answer)
    if told.get("errors") or '"message"' in json.dumps(told.get("data"))[:200]:
        raise RuntimeError(json.dumps(told)[:500])
