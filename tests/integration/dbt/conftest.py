"""Organizations of a test's own in the built coverage schema, and readers of every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.integration.dbt.coverage_rows import Tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.dbt.dbt_command import DbtProject


@pytest.fixture
def admin(coverage_project: DbtProject) -> Iterator[psycopg.Connection[Any]]:
    """The superuser, each statement its own transaction."""
    url = coverage_project.database.admin_url
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
def tenant(admin: psycopg.Connection[Any]) -> Tenant:
    """An organization of this test's own, with nothing in it."""
    return Tenant.add(admin)


@pytest.fixture
def pipeline_rows(
    coverage_project: DbtProject,
) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """Query as the pipeline's login inside an organization: ``rows(organization_id, sql)``."""
    url = coverage_project.database.pipeline_url
    with psycopg.connect(url, row_factory=dict_row) as connection:

        def rows(organization_id: str, query: str) -> list[dict[str, Any]]:
            with connection.transaction():
                connection.execute(
                    "select set_config('app.organization_id', %s, true)", (organization_id,)
                )
                return connection.execute(query).fetchall()

        yield rows
