"""What people do with evidence: assessments, alerts, BI and audit logins, retention."""

from __future__ import annotations

from thirdsentry_pipeline.warehouse.migrations.execute import refuse_downgrade, run_sql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and the functions that only their own roles may run as."""
    run_sql("0003_assessments.sql")
    run_sql("0003_readers.sql")
    run_sql("0003_retention.sql")
    run_sql("0003_owners.sql", as_owner=False)


def downgrade() -> None:
    """Refuse."""
    refuse_downgrade()
