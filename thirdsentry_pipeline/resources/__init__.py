"""Dagster resources: assume-role, warehouse, keys."""
