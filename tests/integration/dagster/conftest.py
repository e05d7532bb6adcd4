"""Dagster tests run on the operations tests' lab."""

from tests.integration.operations.lab import lab

__all__ = ["lab"]
