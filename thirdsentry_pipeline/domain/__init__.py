"""Pure rules: evidence types, verdicts, fingerprints, policies. No I/O."""
