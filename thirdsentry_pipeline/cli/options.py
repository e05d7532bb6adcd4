"""Options that several commands share, so that they read the same everywhere."""

from typing import Annotated

import typer

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")
]
OrganizationId = Annotated[
    str,
    typer.Option(
        "--organization", metavar="OID", help="Organization id: 24 lowercase hex characters."
    ),
]
OptionalOrganizationId = Annotated[
    str | None,
    typer.Option("--organization", metavar="OID", help="Only this organization."),
]
ConnectionId = Annotated[
    str, typer.Option("--connection", metavar="ID", help="Connection id, as `status` shows it.")
]
UiPort = Annotated[
    int, typer.Option("--port", min=1, max=65535, help="Port of the Dagster UI on 127.0.0.1.")
]
ExternalIdOnStdin = Annotated[
    bool,
    typer.Option(
        "--external-id-stdin",
        help="Read the external id from one line of stdin (a secret is never an argument).",
    ),
]
