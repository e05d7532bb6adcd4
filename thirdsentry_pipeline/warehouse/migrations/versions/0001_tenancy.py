"""Roles, schemas, the tenants' tables, and the walls between them."""

from __future__ import annotations

from thirdsentry_pipeline.warehouse.migrations.execute import refuse_downgrade, run_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything the write path and dbt need."""
    run_sql("0001_roles.sql", as_owner=False)
    run_sql("0001_tables.sql")
    run_sql("0001_functions.sql")
    run_sql("0001_policies.sql")


def downgrade() -> None:
    """Refuse."""
    refuse_downgrade()
