"""A loopback AWS: moto over HTTP, with the gaps closed that would fool a compliance reader.

``python -m thirdsentry_pipeline.local.sandbox --port N --state DIR`` serves on 127.0.0.1, prints
one line when it is ready, and stops on SIGTERM or SIGINT. The state directory keeps the KMS key
and the accounts' IAM roles; everything else is gone with the process.

Any AWS SDK works against it through ``AWS_ENDPOINT_URL``. A request acts in the vendor's account
(123456789012), as the principal that ``ready`` names, whatever its key. With the header
``x-moto-account-id`` it is that account's root, whom no fault hits: the way to seed customer
accounts. Signed with an assumed role's session it is held to that session's policies.

Admin API, JSON in and out, for what AWS has no API for (``A`` = account id):

================================================ ==========================================
``GET /_sandbox/ready``                          ``environment``: what to export
``POST /_sandbox/reset``                         forget everything, faults and calls too
``PUT /_sandbox/accounts/A/root``                ``mfa_enabled``, ``mfa_kind`` (virtual,
                                                 hardware), ``password_present``,
                                                 ``access_keys`` (0 to 2),
                                                 ``report_password_enabled`` (a word)
``PUT /_sandbox/accounts/A/credential-report``   ``polls`` before COMPLETE (anew at
                                                 each setting), ``age_seconds``
``PUT /_sandbox/accounts/A/regions``             ``enabled``: the full list
``PUT /_sandbox/accounts/A/identity``            ``account_id`` GetCallerIdentity reports,
                                                 null for the true one
``PUT /_sandbox/accounts/A/guardduty-administrator`` ``region``, ``account_id`` or null
``POST /_sandbox/accounts/A/findings``           ``region``, ``findings``: [``id``, ``type``,
                                                 ``severity``, ``first_seen_at``,
                                                 ``last_seen_at``, ``archived``, ``sample``,
                                                 ``count``, ``account_id``], all optional
``DELETE /_sandbox/accounts/A/findings``         ``region``, or every region
``POST /_sandbox/faults``                        see below; ``GET`` lists them, ``DELETE``
                                                 clears all (or ``/faults/<fault_id>``)
``GET /_sandbox/calls?account_id=A&action=X``    recorded calls; any field filters;
                                                 ``DELETE`` forgets them
``GET /_sandbox/sessions``                       assumed roles with their session policies;
                                                 ``?secrets`` adds what they sign with
``POST /_sandbox/expire-sessions``               ``account_id``, or every account
================================================ ==========================================

A fault has ``account_id``, ``region``, ``action`` (``guardduty:ListDetectors``, ``guardduty:*``;
null matches all; for ``sts:AssumeRole`` the account is the role's), ``effect``, ``count`` (null:
until cleared), ``skip`` (calls that pass first) and, by effect: ``error`` answers ``error_code``
with ``message`` and ``http_status``; ``latency`` waits ``seconds``; ``hang`` holds the connection;
``reset`` drops it; ``truncate`` and ``malformed`` spoil the body; ``expire_session`` ends the
caller's session for good.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thirdsentry_pipeline.local.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

__all__ = ["SandboxProcess", "main", "serve"]

_BACKLOG = 512
_PARENT_CHECK_SECONDS = 0.5


def serve(port: int, state_dir: Path, *, exit_with_parent: int | None = None) -> int:
    """Serve until SIGTERM or SIGINT (or the parent's end); gives the exit code.

    Port 0 takes any free port. The ready line is ``sandbox ready on <url>``.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        sys.stderr.write(
            f"The sandbox can't listen on 127.0.0.1:{port} ({reason}); choose another --port.\n"
        )
        return 1
    # moto's thousands of classes stay for good: no search for garbage has to look at them.
    gc.disable()
    server = _server(listener, state_dir)
    gc.freeze()
    gc.enable()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if exit_with_parent is not None:
        threading.Thread(target=_watch_parent, args=(exit_with_parent,), daemon=True).start()
    sys.stdout.write(f"sandbox ready on {_url(listener)}\n")
    sys.stdout.flush()
    server.serve_forever(poll_interval=0.1)
    listener.close()
    return 0


def _url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def _server(listener: socket.socket, state_dir: Path) -> Any:
    # Imported here: moto costs a second, and importing this module must not.
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - see above
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server  # noqa: PLC0415 - see above

    from thirdsentry_pipeline.local.sandbox_admin import AdminApi  # noqa: PLC0415 - see above
    from thirdsentry_pipeline.local.sandbox_journal import RoleJournal  # noqa: PLC0415 - see above
    from thirdsentry_pipeline.local.sandbox_platform import (  # noqa: PLC0415 - see above
        platform_environment,
        prepare_state_directory,
        reset_sandbox,
    )
    from thirdsentry_pipeline.local.sandbox_server import (  # noqa: PLC0415 - see above
        SandboxApplication,
    )
    from thirdsentry_pipeline.local.sandbox_state import SandboxState  # noqa: PLC0415 - see above

    class QuietHandler(MotoRequestHandler):
        disable_nagle_algorithm = True  # headers and body go out in two writes

        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
            """Show failures; requests are recorded by the sandbox itself."""
            if type == "error":
                sys.stderr.write(f"{message % args if args else message}\n")

        def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
            """Wait for no further request on a connection we have reset."""
            del error, environ
            self.close_connection = True

    key = prepare_state_directory(state_dir)
    journal = RoleJournal(state_dir / "roles.jsonl")
    state = SandboxState()

    def reset() -> None:
        journal.forget()
        reset_sandbox(state, key)

    reset_sandbox(state, key)
    admin = AdminApi(state, platform_environment(_url(listener), key), reset)
    moto = DomainDispatcherApplication(create_backend_app)
    application = SandboxApplication(state, moto, admin, journal)
    journal.replay(application)
    state.calls.clear()
    return make_server(
        "127.0.0.1",
        listener.getsockname()[1],
        application,
        threaded=True,
        request_handler=QuietHandler,
        fd=listener.fileno(),
    )


def _watch_parent(parent: int) -> None:
    """End this process once its parent is gone: nothing may be left behind."""
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``python -m thirdsentry_pipeline.local.sandbox``."""
    parser = argparse.ArgumentParser(prog="sandbox", description="A loopback AWS.")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument(
        "--state", type=Path, required=True, help="directory of its KMS key and roles"
    )
    parser.add_argument("--exit-with-parent", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    return serve(options.port, options.state, exit_with_parent=options.exit_with_parent)


if __name__ == "__main__":
    sys.exit(main())
