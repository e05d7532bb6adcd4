"""What is malformed is refused before anything starts: one sentence, exit 2, no home made."""

import io
import socket

import pytest

from thirdsentry_pipeline.cli.lazy import COMMANDS

GOOD = "66f0000000000000000000a1"
ROLE = "arn:aws:iam::111111111111:role/ThirdSentry"
CONNECTION = "3f0c9a52-6b1e-4d7a-9c55-0a8e2f4b7d10"

MALFORMED = [
    *[
        ("coverage", "--organization", bad)
        for bad in (
            "",
            "acme",
            GOOD.upper(),
            GOOD[:-1],
            GOOD + "0",
            f" {GOOD}",
            "' or 1=1 --",
            "é" * 24,
        )
    ],
    ("evidence", "--organization", "acme"),
    ("evidence", "--organization", GOOD, "--type", "aws.iam"),
    ("status", "--organization", "acme"),
    ("organization", "add", "--id", "acme", "--name", "Acme"),
    ("organization", "add", "--id", GOOD, "--name", "  "),
    ("organization", "add", "--id", GOOD, "--name", "Acme\nHealth"),
    ("organization", "add", "--id", GOOD, "--name", "x" * 201),
    ("onboard", "--organization", "acme"),
    ("onboard", "--organization", GOOD, "--policy", "admin"),
    ("onboard", "--organization", GOOD, "--format", "yaml"),
    *[
        ("connect", "--organization", GOOD, "--role-arn", bad)
        for bad in (
            "",
            "ThirdSentry",
            "arn:aws-iso:iam::111111111111:role/ThirdSentry",
            "arn:aws:sts::111111111111:role/ThirdSentry",
            "arn:aws:iam:us-east-1:111111111111:role/ThirdSentry",
            "arn:aws:iam::11111111111:role/ThirdSentry",
            "arn:aws:iam::111111111111:user/ThirdSentry",
            "arn:aws:iam::111111111111:role/",
            "arn:aws:iam::111111111111:role/Third Sentry",
            ROLE + "\n",
        )
    ],
    ("connect", "--organization", "acme", "--role-arn", ROLE),
    ("reauth", "--organization", GOOD, "--connection", "1"),
    ("reauth", "--organization", GOOD, "--connection", CONNECTION, "--role-arn", "x"),
    ("revoke", "--organization", GOOD, "--connection", "not-a-uuid"),
    ("keys", "rotate", "--organization", "acme"),
    ("sync", "--organization", "acme"),
    ("sync", "--organization", GOOD, "--only", "aws.iam.everything"),
    *[
        ("sync", "--organization", GOOD, "--day", bad)
        for bad in ("2026-02-30", "yesterday", "23.11.2026", "2020-01-01", "2999-01-01")
    ],
    ("bi", "grant", "--organization", "acme", "--login", "bi_7f3a"),
    *[
        command
        for bad in ("", "ab", "Bi_7f3a", "ts_pipeline", "thirdsentry_x", "bi-7f3a", 'x"; drop')
        for command in (
            ("bi", "grant", "--organization", GOOD, "--login", bad),
            ("bi", "revoke", "--login", bad),
        )
    ],
    ("audit", "log", "--organization", "acme"),
    ("audit", "verify", "--organization", "acme"),
    ("audit", "log", "--organization", GOOD, "--limit", "0"),
    ("retention", "prune", "--organization", "acme"),
    ("assessment", "create", "--organization", "acme", "--title", "SOC 2"),
    *[
        ("assessment", "create", "--organization", GOOD, "--title", bad)
        for bad in ("", "  ", "SOC\n2", "x" * 201)
    ],
    ("assessment", "create", "--organization", GOOD, "--title", "SOC 2", "--by", " "),
    ("assessment", "show", "--organization", GOOD, "--assessment", "1"),
    ("assessment", "approve", "--organization", GOOD, "--assessment", "1"),
    *[
        ("assessment", "attach", "--organization", GOOD, "--assessment", CONNECTION, *bad)
        for bad in (
            (),
            ("--evidence", "1"),
            ("--evidence", "fp1:abc"),
            ("--evidence", CONNECTION, "--newest"),
        )
    ],
    ("db", "url", "--role", "dagster"),
    ("db", "url", "--role", "root"),
]
MISUSED = [
    ("nonsense",),
    ("coverage",),
    ("coverage", "--organization"),
    ("coverage", "--organization", GOOD, "--verbose"),
    ("coverage", "surplus", "--organization", GOOD),
    ("connect", "--organization", GOOD),
    (
        "connect",
        "--organization",
        GOOD,
        "--role-arn",
        ROLE,
        "--external-id",
        "a-secret-as-argument",
    ),
    ("db", "drop"),
    ("demo", "--port", "0"),
    ("up", "--port", "http"),
    ("sandbox", "--port", "70000"),
]


@pytest.mark.parametrize(
    "arguments", [*MALFORMED, *MISUSED], ids=lambda parts: " ".join(parts)[:90]
)
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_wrong_input_is_one_sentence_and_exit_2(thirdsentry, home, arguments, form):
    outcome = thirdsentry(*arguments, *form)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert len(outcome.err.strip()) > 20
    assert "Traceback" not in outcome.err
    assert not home.exists()


@pytest.mark.parametrize(
    "secret", ["", "short12", "x" * 257, "has a blank", "semi;colon", "ümlaut-12345", "tab\tinside"]
)
def test_malformed_external_id_is_refused_and_never_repeated(
    thirdsentry, home, monkeypatch, secret
):
    monkeypatch.setattr("sys.stdin", io.StringIO(secret + "\n"))
    outcome = thirdsentry(
        "connect", "--organization", GOOD, "--role-arn", ROLE, "--external-id-stdin"
    )
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert not secret or secret not in outcome.err
    assert not home.exists()


def test_day_that_is_not_today_says_that_aws_has_no_past(thirdsentry):
    assert "past" in thirdsentry("sync", "--organization", GOOD, "--day", "2020-01-01").err


@pytest.mark.parametrize("command", ["demo", "up", "sandbox"])
def test_occupied_port_names_the_option_before_anything_starts(thirdsentry, home, command):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        outcome = thirdsentry(command, "--port", str(other.getsockname()[1]))
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert "--port" in outcome.err
    assert not home.exists()


def test_database_that_is_not_running_says_how_to_start_it(thirdsentry):
    outcome = thirdsentry("db", "url")
    assert outcome.code == 1
    assert "thirdsentry db start" in outcome.err


@pytest.mark.parametrize("role", ["pipeline", "admin"])
def test_db_url_repeats_the_external_database(thirdsentry, monkeypatch, role):
    url = "postgresql://someone:secret@db.example:5432/warehouse"
    monkeypatch.setenv("THIRDSENTRY_DATABASE_URL", url)
    monkeypatch.setenv("THIRDSENTRY_ADMIN_DATABASE_URL", url)
    outcome = thirdsentry("db", "url", "--role", role)
    assert (outcome.code, outcome.out, outcome.err) == (0, url + "\n", "")


@pytest.mark.parametrize("action", ["start", "stop"])
def test_external_database_is_not_ours_to_start_or_stop(thirdsentry, monkeypatch, action):
    monkeypatch.setenv("THIRDSENTRY_DATABASE_URL", "postgresql://a:b@db.example/warehouse")
    outcome = thirdsentry("db", action)
    assert outcome.code == 1
    assert "THIRDSENTRY_DATABASE_URL" in outcome.err


def test_malformed_setting_is_named(thirdsentry, monkeypatch):
    monkeypatch.setenv("THIRDSENTRY_DATABASE_URL", "mysql://nowhere")
    outcome = thirdsentry("organization", "list")
    assert outcome.code == 1
    assert "THIRDSENTRY_DATABASE_URL" in outcome.err
    assert outcome.err.count("\n") == 1


def test_unreachable_database_names_the_setting(thirdsentry, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        url = f"postgresql://login:hidden-word@127.0.0.1:{port}/warehouse"
        monkeypatch.setenv("THIRDSENTRY_DATABASE_URL", url)
        outcome = thirdsentry("organization", "list")
    assert outcome.code == 1
    assert "THIRDSENTRY_DATABASE_URL" in outcome.err
    assert "hidden-word" not in outcome.err
    assert outcome.err.count("\n") == 1


def test_debug_shows_the_traceback_and_the_sentence(thirdsentry):
    outcome = thirdsentry("coverage", "--organization", "acme", "--debug")
    assert outcome.code == 2
    assert "Traceback" in outcome.err


def test_no_command_shows_them_all(thirdsentry):
    outcome = thirdsentry()
    assert all(name in outcome.out + outcome.err for name in COMMANDS)
