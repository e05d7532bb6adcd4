"""The sandbox starts with one line, says why when it can't, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys

import boto3
import psutil
import pytest

from thirdsentry_pipeline.domain.errors import ThirdSentryError
from thirdsentry_pipeline.local.sandbox_process import SandboxProcess

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, "-m", "thirdsentry_pipeline.local.sandbox"]


def start(state, *more):
    process = subprocess.Popen(
        [*COMMAND, "--state", str(state), *more], stdout=subprocess.PIPE, text=True
    )
    line = process.stdout.readline()
    assert line.startswith("sandbox ready on http://127.0.0.1:")
    return process, line.rsplit(" ", 1)[-1].strip()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_and_frees_the_port(tmp_path, how):
    process, url = start(tmp_path)
    process.send_signal(how)
    assert process.wait(10) == 0
    process.stdout.close()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(url.rsplit(":", 1)[-1]))) != 0


def test_a_taken_port_is_one_sentence_and_exit_1(tmp_path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = subprocess.run(
            [*COMMAND, "--state", str(tmp_path), "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert f"127.0.0.1:{port}" in done.stderr
        with pytest.raises(ThirdSentryError, match="--port"), SandboxProcess(tmp_path, port):
            pass


def test_it_dies_with_the_process_that_started_it(tmp_path):
    code = (
        "import sys, pathlib; from thirdsentry_pipeline.local.sandbox_process import *;"
        f"p = SandboxProcess(pathlib.Path({str(tmp_path)!r})).__enter__();"
        "print(p.endpoint_url, p._process.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    pid = int(parent.stdout.readline().split()[1])
    sandbox = psutil.Process(pid)
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    sandbox.wait(10)
    assert not psutil.pid_exists(pid)


def test_plain_boto3_with_the_environment_alone_works(sandbox, sandbox_environment):
    assert boto3.client("sts").get_caller_identity()["Account"] == "123456789012"
    client = boto3.client("iam")
    client.meta.events.register(
        "before-sign.iam.*",
        lambda request, **_: request.headers.add_header("x-moto-account-id", "700222222222"),
    )
    client.create_user(UserName="seeded")
    users = sandbox.admin.client("iam", "700222222222").list_users()["Users"]
    assert [one["UserName"] for one in users] == ["seeded"]


def test_reset_forgets_accounts_faults_and_calls_but_not_the_key(tmp_path):
    with SandboxProcess(tmp_path) as own:
        own.admin.client("iam", "700333333333").create_user(UserName="gone")
        own.admin.set_root("700333333333", mfa_enabled=True)
        own.admin.inject_fault(action="iam:*")
        own.admin.reset()
        assert own.admin.calls() == []
        iam = own.admin.client("iam", "700333333333")
        assert iam.list_users()["Users"] == []
        assert iam.get_account_summary()["SummaryMap"]["AccountMFAEnabled"] == 0
        key_id = own.environment["THIRDSENTRY_KMS_KEY_ID"]
        kms = own.admin.client("kms", "123456789012")
        assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["Enabled"] is True
