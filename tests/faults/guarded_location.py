"""The product's code location in a code server of a test, without the guard the test took away."""

import pytest

from tests.faults.guards import apply_to_process
from thirdsentry_pipeline import definitions

apply_to_process(pytest.MonkeyPatch())
defs = definitions.defs
