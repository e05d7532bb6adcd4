"""``thirdsentry connect``, ``reauth`` and ``revoke``: the life of a connection."""

import sys
from importlib import import_module
from typing import Annotated

import typer

from thirdsentry_pipeline.cli.connect_outcome import show
from thirdsentry_pipeline.cli.options import (
    AsJson,
    ConnectionId,
    ExternalIdOnStdin,
    OrganizationId,
)
from thirdsentry_pipeline.cli.output import messages, print_json, print_line, progress_lines
from thirdsentry_pipeline.cli.session import running_database
from thirdsentry_pipeline.cli.sides import naming_the_side
from thirdsentry_pipeline.domain.errors import InputError
from thirdsentry_pipeline.domain.identifiers import (
    RoleArn,
    parse_connection_id,
    parse_external_id,
    parse_organization_id,
)
from thirdsentry_pipeline.operations import connecting
from thirdsentry_pipeline.operations.services import open_services
from thirdsentry_pipeline.settings import Settings


def connect(
    organization: OrganizationId,
    role_arn: Annotated[str, typer.Option(metavar="ARN", help="The role in the account.")],
    external_id_stdin: ExternalIdOnStdin = False,
    as_json: AsJson = False,
) -> None:
    """Prove the role's trust policy, read each evidence type once, and store the connection."""
    organization_id = parse_organization_id(organization)
    role = RoleArn.parse(role_arn)
    external_id = external_id_from_stdin() if external_id_stdin else None
    report = progress_lines()
    with running_database() as settings, open_services(settings) as services:
        report(f"Proving the trust policy of {role} and reading account {role.account_id}")
        with naming_the_side():
            result = connecting.connect(services, organization_id, str(role), external_id)
    show(result, "Connected", as_json=as_json)


def reauth(
    organization: OrganizationId,
    connection: ConnectionId,
    role_arn: Annotated[
        str | None, typer.Option(metavar="ARN", help="Another role of the same account.")
    ] = None,
    external_id_stdin: ExternalIdOnStdin = False,
    as_json: AsJson = False,
) -> None:
    """Prove a connection again, with the stored or new values, and make it active."""
    organization_id = parse_organization_id(organization)
    identity = parse_connection_id(connection)
    role = None if role_arn is None else str(RoleArn.parse(role_arn))
    external_id = external_id_from_stdin() if external_id_stdin else None
    with running_database() as settings, open_services(settings) as services, naming_the_side():
        result = connecting.reauth(
            services, organization_id, str(identity), role_arn=role, external_id=external_id
        )
    show(result, "Active again", as_json=as_json)


def revoke(organization: OrganizationId, connection: ConnectionId, as_json: AsJson = False) -> None:
    """Forget the connection's external id and stop reading; its history stays."""
    organization_id = parse_organization_id(organization)
    identity = parse_connection_id(connection)
    # Leaving a customer's account is not held up by a clock that is off.
    with running_database() as settings, open_services(settings, at_any_time=True) as services:
        is_last = connecting.revoke(services, organization_id, str(identity))
        if is_last:
            remove_partition(settings, organization_id)
    if as_json:
        print_json({"connection_id": str(identity), "status": "revoked", "was_last": is_last})
    else:
        print_line(f"Connection {identity} is revoked; its evidence stays readable as history.")


def external_id_from_stdin() -> str:
    """The external id from one line of stdin, its newline dropped.

    Raises:
        InputError: the line is missing or no external id; the text never repeats it.
    """
    line = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    if not line:
        message = "stdin held no external id: give it as one line, such as acme-audit-2026."
        raise InputError(message)
    return parse_external_id(line)


def remove_partition(settings: Settings, organization_id: str) -> None:
    """Take the organization's partition from Dagster; its sensor does it later if this can't."""
    try:
        # Dagster takes a second to import, and most revocations are not the last.
        import_module("thirdsentry_pipeline.automation.launch").remove_organization(
            settings, organization_id
        )
    except Exception as error:  # noqa: BLE001 - the connection is revoked, whatever Dagster's state
        messages().print(
            f"Dagster's partition of the organization stays until the sensor organization_registry "
            f"takes it away ({type(error).__name__})."
        )
