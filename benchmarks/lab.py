"""A migrated Postgres, the AWS stub and connected organizations, in a directory of their own."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from benchmarks.stub_accounts import external_id_of, role_of
from benchmarks.stub_process import AwsStub
from thirdsentry_pipeline.local.postgres import EmbeddedPostgres
from thirdsentry_pipeline.operations.credentials import seal_external_id
from thirdsentry_pipeline.operations.database import prepare_database
from thirdsentry_pipeline.operations.services import Services, open_services
from thirdsentry_pipeline.settings import Settings
from thirdsentry_pipeline.warehouse import connections
from thirdsentry_pipeline.warehouse.organizations import add_organization
from thirdsentry_pipeline.warehouse.scope import organization_scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Lab:
    """What a measurement needs: settings, services on them, and the stub."""

    def __init__(self, settings: Settings, stub: AwsStub, services: Services) -> None:
        self.settings = settings
        self.stub = stub
        self.services = services

    def connect(self, organization_id: str, accounts: Sequence[str]) -> list[UUID]:
        """Add an organization with live connections, without the probes of a real connect."""
        with organization_scope(self.services.pipeline, organization_id) as database:
            add_organization(database, organization_id, f"Organization {organization_id}")
        return [self._connect(organization_id, account) for account in accounts]

    def _connect(self, organization_id: str, account_id: str) -> UUID:
        connection_id = uuid4()
        secret = external_id_of(account_id)
        sealed = seal_external_id(self.services, organization_id, connection_id, secret)
        with organization_scope(self.services.pipeline, organization_id) as database:
            connections.insert_connection(
                database,
                connection_id=connection_id,
                role_arn=role_of(account_id),
                account_id=account_id,
                credential_blob=sealed.blob,
                key_version=sealed.key_version,
            )
        return connection_id


def organization_id(number: int) -> str:
    return f"{number:024x}"


def account_id(number: int) -> str:
    return f"{number:012d}"


@contextmanager
def open_lab() -> Iterator[Lab]:
    """Start everything on free ports below a temporary directory; leave nothing behind."""
    home = Path(tempfile.mkdtemp(prefix="thirdsentry-bench-"))
    # As root the server runs as another user, who has to pass through.
    home.chmod(0o711)
    before = dict(os.environ)
    try:
        with AwsStub() as stub, EmbeddedPostgres(home):
            os.environ.update({**stub.environment, "THIRDSENTRY_HOME": str(home)})
            settings = Settings.from_environment()
            prepare_database(settings)
            with open_services(settings) as services:
                yield Lab(settings, stub, services)
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(home, ignore_errors=True)
