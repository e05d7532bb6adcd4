"""The audit log: a hash chain per organization that only grows."""

from __future__ import annotations

from thirdsentry_pipeline.warehouse.migrations.execute import refuse_downgrade, run_sql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the log, its heads and the trigger that chains them."""
    run_sql("0002_audit_log.sql")


def downgrade() -> None:
    """Refuse."""
    refuse_downgrade()
