"""The dbt models as assets, downstream of the evidence they are made from."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg

from thirdsentry_pipeline.assets.dagster_dbt_alone import (
    DagsterDbtTranslator,
    DbtProgram,
    DbtProject,
    dbt_assets,
)
from thirdsentry_pipeline.assets.dbt_runner import (
    DBT,
    PROJECT_DIR,
    dbt_environment,
    prepared_manifest,
    target_directory,
)
from thirdsentry_pipeline.assets.evidence_specs import EVIDENCE_KEYS, OWNER
from thirdsentry_pipeline.settings import Settings

GROUP = "coverage"
KEY_PREFIX = "coverage"
BUILD = ["build", "--exclude-resource-type", "unit_test"]
"""Unit tests judge the models' text, which does not change from day to day."""

WAREHOUSE_SOURCE = "warehouse"
WRITTEN_BY_EVIDENCE = frozenset(
    {"evidence", "evidence_observations", "evidence_state", "evidence_steps"}
)
"""Warehouse tables that the seven evidence assets write, all of them each."""


class CoverageTranslator(DagsterDbtTranslator):
    """Names the models and draws the lineage from the evidence assets to them."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """``coverage/<model>``; a source keeps the key its own properties give it."""
        if dbt_resource_props["resource_type"] == "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey([KEY_PREFIX, dbt_resource_props["name"]])

    def get_group_name(
        self,
        dbt_resource_props: Mapping[str, Any],  # noqa: ARG002 - dagster-dbt's signature
    ) -> str:
        """All of them in one group, whatever groups dbt uses for access."""
        return GROUP

    def get_owners(
        self,
        dbt_resource_props: Mapping[str, Any],  # noqa: ARG002 - dagster-dbt's signature
    ) -> list[str]:
        """The team that owns the evidence owns what is made of it."""
        return [OWNER]

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        """The spec with one dependency per evidence asset in place of the tables they share."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        shared = {dg.AssetKey([WAREHOUSE_SOURCE, table]) for table in WRITTEN_BY_EVIDENCE}
        if not any(dep.asset_key in shared for dep in spec.deps):
            return spec
        kept = [dep for dep in spec.deps if dep.asset_key not in {*shared, *EVIDENCE_KEYS.values()}]
        return spec.replace_attributes(deps=[*kept, *EVIDENCE_KEYS.values()])


warehouse_tables = [
    dg.AssetSpec(
        key=[WAREHOUSE_SOURCE, table],
        description=description,
        group_name=WAREHOUSE_SOURCE,
        owners=[OWNER],
        kinds={"postgres"},
    )
    for table, description in {
        "organizations": "The tenants.",
        "connections": "AWS accounts that organizations have connected.",
        "connector_runs": "One row per attempt to read one connection.",
    }.items()
]
"""What the models read that is no evidence; the pipeline writes it outside of assets."""

manifest_path = prepared_manifest()


@dbt_assets(
    manifest=manifest_path,
    name="coverage_models",
    dagster_dbt_translator=CoverageTranslator(),
)
def coverage_models(context: dg.AssetExecutionContext, dbt: DbtProgram) -> Iterator[Any]:
    """Build the selected models and seeds and run their data tests."""
    settings = Settings.from_environment()
    with transform_login(settings), target_directory(settings) as target:
        yield from dbt.cli(BUILD, context=context, target_path=target).stream()


@contextmanager
def transform_login(settings: Settings) -> Iterator[None]:
    """Let dbt's child processes log in; dagster-dbt passes them this process's environment."""
    wanted = dbt_environment(settings)
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def dbt_resource() -> DbtProgram:
    """Dbt of this environment over the project beside the package."""
    return DbtProgram(
        project_dir=str(PROJECT_DIR), profiles_dir=str(PROJECT_DIR), dbt_executable=DBT
    )


coverage_selection = dg.AssetSelection.groups(GROUP)
