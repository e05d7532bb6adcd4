"""What proving a fact's origin and form paid for each row."""

from __future__ import annotations

from thirdsentry_pipeline.warehouse.migrations.execute import refuse_downgrade, run_sql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Prove the same with one reference for each fact."""
    run_sql("0007_one_reference.sql")


def downgrade() -> None:
    """Refuse."""
    refuse_downgrade()
