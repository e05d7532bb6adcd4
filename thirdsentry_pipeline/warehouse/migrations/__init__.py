"""The warehouse's schema history: Alembic revisions over hand-written SQL.

A revision runs the files of ``sql/`` that start with its number. There is no way down: evidence
and the audit log are append-only, and a backup is the way back.
"""
