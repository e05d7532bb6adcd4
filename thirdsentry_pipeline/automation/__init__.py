"""Dagster jobs, schedules, sensors, and the instance."""
