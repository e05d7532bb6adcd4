"""Reports and exports made from the coverage marts."""
