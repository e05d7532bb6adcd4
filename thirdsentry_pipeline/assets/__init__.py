"""Dagster assets and checks."""
