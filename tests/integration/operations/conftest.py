"""The laboratory's fixtures: an empty one, and one with an organization."""

from tests.integration.operations.lab import lab, organization_lab

__all__ = ["lab", "organization_lab"]
