import pytest

from tests.unit.aws.canned import CannedAws


@pytest.fixture
def aws():
    """An AWS that answers what the test says, byte for byte."""
    return CannedAws()


@pytest.fixture
def session(aws):
    """An open session whose answers come from ``aws``."""
    with aws.session() as session:
        yield session
