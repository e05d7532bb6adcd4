"""Embedded Postgres and the loopback AWS sandbox: nothing in production imports this."""
