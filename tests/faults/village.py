"""Two organizations in a database of this test's own, for faults that nobody lives on after."""

from uuid import uuid4

import pytest

from tests.faults.town import PEOPLE, settle, sync
from tests.integration.operations.lab import lab_on


@pytest.fixture
def village(clean_database, sandbox, sandbox_environment):
    """Both are connected, through roles of their own, and were read once."""
    lab = lab_on(clean_database, sandbox, sandbox_environment)
    settle(lab, f"village-{uuid4().hex[:8]}")
    return lab


def read_all(lab):
    """A whole day: both organizations are read."""
    for organization_id in PEOPLE:
        assert sync(lab, organization_id).status == "succeeded"
