"""BI tools' own clients list, describe and read the marts, and see one organization alone."""

from __future__ import annotations

import pandas as pd
import psycopg
import pytest

from tests.integration.bi.clients import CLIENTS, Superset, connected
from tests.integration.dbt.test_coverage_schema import MARTS

pytestmark = [
    pytest.mark.integration,
    # ADBC hands numeric over as text, and nanoarrow says so.
    pytest.mark.filterwarnings("ignore:.*Converting unregistered extension"),
]


def test_client_lists_every_mart_with_its_description(client):
    relations = client.relations()
    assert set(MARTS) <= set(relations)
    shown = {name: relations[name] for name in MARTS if relations[name] is not None}
    assert all("Grain:" in comment for comment in shown.values())
    # ADBC's catalogue has no place for a table's description.
    assert len(shown) == (0 if type(client).__name__ == "Adbc" else len(MARTS))


def test_client_describes_every_column(client):
    for mart, columns in MARTS.items():
        described = client.columns(mart)
        assert list(described) == columns.split()
        assert all(described.values()), mart


@pytest.mark.parametrize("name", CLIENTS)
def test_client_reads_every_mart_of_its_organization_alone(readers, name):
    mine = {}
    for reader in readers:
        with connected(name, reader.url) as client:
            for mart in MARTS:
                rows = client.rows(f"select * from coverage.{mart}")
                assert rows, mart
                assert {row["organization_id"] for row in rows} == {reader.organization_id}, mart
                assert list(rows[0]) == MARTS[mart].split()
            mine[reader.organization_id] = {
                row["user_name"] for row in client.rows("select user_name from coverage.mfa_gaps")
            }
    assert mine == {
        reader.organization_id: {f"user of {reader.organization_id}"} for reader in readers
    }


def test_no_setting_and_no_name_opens_another_organization(client, readers):
    """What a user of native SQL may try."""
    other = readers[1].organization_id
    client.rows(f"select set_config('app.organization_id', '{other}', false) as tried")
    asked = f"where organization_id = '{other}'"
    assert client.rows(f"select * from coverage.control_coverage {asked}") == []
    assert client.rows(f"select * from warehouse.evidence {asked}") == []


def test_pandas_gets_times_numbers_and_flags_and_not_just_texts(readers):
    """A chart's axis needs types: Superset derives them from these."""
    frame = Superset(readers[0].url).frame("select * from coverage.evidence_freshness")
    assert isinstance(frame["last_ok_at"].dtype, pd.DatetimeTZDtype)
    assert frame["is_fresh"].dtype == bool
    assert pd.api.types.is_float_dtype(frame["age_hours"])
    counts = Superset(readers[0].url).frame("select * from coverage.framework_coverage")
    assert pd.api.types.is_integer_dtype(counts["controls_total"])
    assert pd.api.types.is_float_dtype(counts["covered_pct"])


def test_reader_can_t_write_and_needs_its_password(readers):
    url = readers[0].url
    with psycopg.connect(url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("create temporary table extract (x int)")
        connection.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("delete from coverage.coverage_daily")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url, password="guessed")
