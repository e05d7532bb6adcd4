"""The role that checks the invariants over all organizations."""

from __future__ import annotations

from thirdsentry_pipeline.warehouse.migrations.execute import refuse_downgrade, run_sql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the role and let it read."""
    run_sql("0005_checker_role.sql", as_owner=False)
    run_sql("0005_checker.sql")


def downgrade() -> None:
    """Refuse."""
    refuse_downgrade()
