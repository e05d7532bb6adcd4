"""Storing facts without squeezing them."""

from __future__ import annotations

from thirdsentry_pipeline.warehouse.migrations.execute import refuse_downgrade, run_sql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Compress larger rows only."""
    run_sql("0008_as_it_came.sql")


def downgrade() -> None:
    """Refuse."""
    refuse_downgrade()
