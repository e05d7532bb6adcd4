"""What is measured at a thousand organizations and millions of observations."""

from __future__ import annotations

from thirdsentry_pipeline.warehouse.migrations.execute import refuse_downgrade, run_sql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Say the same at less cost."""
    run_sql("0004_scale.sql")


def downgrade() -> None:
    """Refuse."""
    refuse_downgrade()
