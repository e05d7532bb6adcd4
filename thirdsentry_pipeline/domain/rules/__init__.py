"""Facts to verdicts: one module per AWS service."""
