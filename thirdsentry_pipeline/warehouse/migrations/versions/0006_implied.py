"""What writing evidence paid for twice or for nobody."""

from __future__ import annotations

from thirdsentry_pipeline.warehouse.migrations.execute import refuse_downgrade, run_sql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the references that others imply and an index that nothing asks."""
    run_sql("0006_implied.sql")


def downgrade() -> None:
    """Refuse."""
    refuse_downgrade()
