import pytest

from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.settings import Settings


def test_defaults():
    s = Settings.from_environment({})
    assert s.is_embedded
    assert s.organizations_per_run == 1
    with pytest.raises(ConfigurationError):
        Settings.from_environment({"THIRDSENTRY_ORGANIZATIONS_PER_RUN": "0"})
