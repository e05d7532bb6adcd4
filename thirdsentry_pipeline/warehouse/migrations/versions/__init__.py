"""One module per revision; ``alembic`` reads them in the order of ``down_revision``."""
