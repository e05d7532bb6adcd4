"""An external id or a role belongs to one organization."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from thirdsentry_pipeline.warehouse import (
    connections,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.integration.warehouse.conftest import Tenant

pytestmark = pytest.mark.integration


def test_an_identity_belongs_to_the_first_organization_for_good(
    tenant: Tenant,
    other_tenant: Tenant,
) -> None:
    other = other_tenant
    digest = "ab" * 32
    with tenant.scope() as c:
        assert connections.claim(c, "role_arn", digest)
        assert connections.claim(c, "role_arn", digest), "claiming again changes nothing"
    with other.scope() as c:
        assert not connections.claim(c, "role_arn", digest)
        assert connections.claim(c, "external_id", digest), "kinds are apart"
    with tenant.scope() as c:
        connections.revoke_connection(c, tenant.connection_id)
    with other.scope() as c:
        assert not connections.claim(c, "role_arn", digest)


def test_one_of_two_claims_at_once_wins(tenant: Tenant, other_tenant: Tenant) -> None:
    def claim(tenant: Tenant) -> bool:
        with tenant.scope() as c:
            return connections.claim(c, "external_id", "cd" * 32)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(claim, [tenant, other_tenant])) == [False, True]


def test_claims_are_keyed_and_unreadable(
    tenant: Tenant, other_tenant: Tenant, admin: Engine
) -> None:
    digest = "ef" * 32
    with tenant.scope() as c:
        connections.claim(c, "role_arn", digest)
    with admin.connect() as c:
        stored = c.scalar(text("select encode(keyed_digest, 'hex') from warehouse.identity_claims"))
    assert stored != digest
    for table in ("identity_claims", "identity_secret"):
        with pytest.raises(DBAPIError, match="permission denied"), tenant.scope() as c:
            c.execute(text(f"select * from warehouse.{table}"))


@pytest.mark.parametrize("digest", ["", "zz", "AB" * 32, "ab" * 33])
def test_a_claim_needs_a_digest(tenant: Tenant, digest: str) -> None:
    with pytest.raises(DBAPIError, match="SHA-256"), tenant.scope() as c:
        connections.claim(c, "role_arn", digest)
