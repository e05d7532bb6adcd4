"""What the database itself takes for evidence, whoever writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from psycopg.errors import CheckViolation
from sqlalchemy.exc import IntegrityError

from tests.integration.warehouse.conftest import ok

if TYPE_CHECKING:
    from tests.databases import WarehouseDatabase
    from tests.integration.warehouse.conftest import Tenant

pytestmark = pytest.mark.integration

HASH = "encode(sha256(convert_to(payload_canonical || ' ', 'UTF8')), 'hex')"
FINGERPRINTS = {
    f"'fp1:' || {HASH}": True,
    f"'fp20:' || {HASH}": True,
    "'fp1:' || repeat('0', 64)": False,
    f"'fp:' || {HASH}": False,
    f"'xfp1:' || {HASH}": False,
    f"'fp1:' || upper({HASH})": False,
    f"'fp1:' || {HASH} || ':'": False,
    f"'fp1' || {HASH}": False,
}
TYPES = {
    "evidence_type": True,
    "'gcp.iam.keys_2'": True,
    "'aws.iam.root_mfa '": False,
    "'AWS.iam.root_mfa'": False,
    "'aws..iam'": False,
    "'aws_.iam'": False,
    "'aws'": False,
}


def test_a_fingerprint_is_the_hash_of_what_the_row_says(
    tenant: Tenant, clean_database: WarehouseDatabase
) -> None:
    tenant.sync(ok(note=1))
    taken = {
        form: is_taken(clean_database, fingerprint=form, evidence_type="evidence_type")
        for form in FINGERPRINTS
    }
    assert taken == FINGERPRINTS


def test_a_type_is_lower_case_words_joined_by_dots(
    tenant: Tenant, clean_database: WarehouseDatabase
) -> None:
    tenant.sync(ok(note=1))
    taken = {
        form: is_taken(clean_database, fingerprint=f"'fp1:' || {HASH}", evidence_type=form)
        for form in TYPES
    }
    assert taken == TYPES


def is_taken(database: WarehouseDatabase, *, fingerprint: str, evidence_type: str) -> bool:
    """Whether a superuser may add the only row again, changed in this way."""
    with database.engine("admin").connect() as c:
        try:
            c.exec_driver_sql(
                "insert into warehouse.evidence (organization_id, connection_id, account_id,"
                " evidence_type, subject, verdict, fingerprint, payload, payload_canonical,"
                " schema_version, first_run_id) select organization_id, connection_id, account_id,"
                f" {evidence_type}, subject, verdict, {fingerprint}, payload,"
                " payload_canonical || ' ', schema_version, first_run_id from warehouse.evidence"
            )
        except IntegrityError as error:
            if isinstance(error.orig, CheckViolation):
                return False
            raise
    return True
