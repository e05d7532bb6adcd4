"""``thirdsentry doctor --deep`` runs every invariant, and names what does not hold."""

import json

import pytest
import typer
from sqlalchemy import text

from tests.integration.operations.lab import ORGANIZATION
from thirdsentry_pipeline.cli.deep_diagnosis import examine_deeply
from thirdsentry_pipeline.cli.doctor import doctor
from thirdsentry_pipeline.settings import Settings

pytestmark = pytest.mark.integration

BACKDATE = """
    update warehouse.evidence_state set last_ok_at = last_ok_at - interval '1 day'
    where organization_id = :mine and evidence_type = 'aws.iam.root_mfa'
    returning connection_id::text
"""


@pytest.fixture
def administered(town, monkeypatch):
    """The town's settings, with an administrator as an external Postgres has one."""
    monkeypatch.setenv("THIRDSENTRY_ADMIN_DATABASE_URL", town.lab.database.admin_url)
    return Settings.from_environment()


def test_every_invariant_and_every_wall_is_well(administered):
    checks = {one.check: one for one in examine_deeply(administered)}
    assert [one.detail for one in checks.values() if not one.ok] == []
    numbers = (*range(1, 11), 12)
    assert list(checks) == [*(f"invariant I{number}" for number in numbers), "walls"]


def test_what_does_not_hold_is_named_and_ends_with_1(town, administered, capsys):
    with town.lab.database.engine("admin").begin() as connection:
        (changed,) = connection.execute(text(BACKDATE), {"mine": ORGANIZATION}).scalars()
    with pytest.raises(typer.Exit) as ended:
        doctor(deep=True, as_json=True)
    assert ended.value.exit_code == 1
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is False
    (broken,) = (
        one for one in said["checks"] if one["check"].startswith("invariant") and not one["ok"]
    )
    assert broken["detail"] == (
        "I2 does not hold (The state of evidence is what its observations make it,"
        " and its steps follow from it): organization"
        f" {ORGANIZATION}, aws.iam.root_mfa of connection {changed}."
    )
    town.heal()
