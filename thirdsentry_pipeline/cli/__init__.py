"""The `thirdsentry` command line."""
