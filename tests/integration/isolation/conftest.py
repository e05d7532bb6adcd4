"""The stub's process, and towns on a clean warehouse."""

import os

import pytest

from benchmarks.lab import Lab
from benchmarks.stub_accounts import KMS_KEY_ID
from benchmarks.stub_process import AwsStub
from tests.integration.isolation.town import NO_FAULTS, SMALL, build
from tests.waiting import retry_at_once
from thirdsentry_pipeline.aws.kms import TenantKeys
from thirdsentry_pipeline.aws.sessions import PlatformAws
from thirdsentry_pipeline.operations.services import Services


@pytest.fixture(scope="package")
def stub():
    with AwsStub() as running:
        yield running


@pytest.fixture
def town_of(stub, clean_database, tmp_path, monkeypatch):
    """Connects so many organizations with so many accounts each."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in stub.environment.items():
        monkeypatch.setenv(name, value)
    retry_at_once(monkeypatch)
    stub.configure(**NO_FAULTS, **SMALL)
    platform = PlatformAws(endpoint_url=stub.endpoint_url, region="us-east-1")
    services = Services(
        pipeline=clean_database.engine("pipeline"),
        scheduler=clean_database.engine("scheduler"),
        platform=platform,
        keys=TenantKeys(platform.client("kms"), KMS_KEY_ID),
    )
    lab = Lab(clean_database.settings(tmp_path), stub, services)
    return lambda organizations, each: build(lab, clean_database, organizations, each)
