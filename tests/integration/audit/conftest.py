"""Organizations with audit logs, and the sandbox's bucket with Object Lock."""

from dataclasses import dataclass

import pytest

from tests.integration.audit.chains import lengthen
from tests.integration.warehouse.conftest import admin, other_tenant, tenant
from thirdsentry_pipeline.aws.anchors import AnchorBucket
from thirdsentry_pipeline.aws.sessions import PlatformAws
from thirdsentry_pipeline.operations.audit import anchor_organization, anchor_organizations

__all__ = ["admin", "other_tenant", "tenant"]


@dataclass
class Anchoring:
    """The warehouse's doors and the bucket, as the asset has them."""

    database: object
    bucket: AnchorBucket
    s3: object

    def all(self):
        engine = self.database.engine
        return anchor_organizations(engine("pipeline"), engine("scheduler"), self.bucket)

    def one(self, tenant):
        return anchor_organization(tenant.engine, tenant.organization_id, self.bucket)

    def versions(self):
        return self.s3.list_object_versions(Bucket=self.bucket.name).get("Versions", [])


@pytest.fixture
def s3(empty_sandbox, sandbox_environment):
    platform = PlatformAws(endpoint_url=empty_sandbox.endpoint_url, region="us-east-1")
    return platform.client("s3")


@pytest.fixture
def bucket(s3, sandbox_environment):
    return AnchorBucket(s3, sandbox_environment["THIRDSENTRY_ANCHOR_BUCKET"])


@pytest.fixture
def anchoring(clean_database, bucket, s3):
    return Anchoring(clean_database, bucket, s3)


@pytest.fixture
def anchored(tenant, anchoring):
    """A log of eight rows whose third and eighth are anchored."""
    lengthen(tenant, 3)
    assert anchoring.one(tenant).is_new
    lengthen(tenant, 5)
    assert anchoring.one(tenant).is_new
    return tenant
