"""Postgres: schema, tenancy, the write path, the audit log."""
