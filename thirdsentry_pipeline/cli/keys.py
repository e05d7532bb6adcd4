"""``thirdsentry keys``: the organizations' data keys."""

from dataclasses import asdict

import typer

from thirdsentry_pipeline.cli.options import AsJson, OrganizationId
from thirdsentry_pipeline.cli.output import print_json, print_line
from thirdsentry_pipeline.cli.session import running_database
from thirdsentry_pipeline.domain.identifiers import parse_organization_id
from thirdsentry_pipeline.operations.key_rotation import rotate_data_key
from thirdsentry_pipeline.operations.services import open_services

app = typer.Typer(no_args_is_help=True, help="Rotate the keys that external ids are sealed with.")


@app.callback()
def keys() -> None:
    """Rotate the keys that external ids are sealed with."""


@app.command()
def rotate(organization: OrganizationId, as_json: AsJson = False) -> None:
    """Make a new data key under THIRDSENTRY_KMS_KEY_ID and seal every external id with it."""
    organization_id = parse_organization_id(organization)
    with running_database() as settings, open_services(settings) as services:
        rotation = rotate_data_key(services, organization_id)
    if as_json:
        print_json(asdict(rotation))
    else:
        print_line(
            f"Data key {rotation.key_version} of organization {organization_id} seals "
            f"{len(rotation.connection_ids)} connections; {rotation.kms_key_id} wraps it."
        )
