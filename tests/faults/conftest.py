"""The fault tests' laboratory, the invariants after each test, and tests without their guards."""

import pytest
from psycopg import sql

from tests.dagster_fixtures import make_dagster_template
from tests.databases import DatabaseServer, WarehouseDatabase
from tests.faults import figures
from tests.faults.guards import VARIABLE, all_guards, apply_to_database, apply_to_process
from tests.faults.town import found
from tests.integration.operations.lab import lab
from thirdsentry_pipeline.local.postgres import EmbeddedPostgres
from thirdsentry_pipeline.settings import WAREHOUSE_DATABASE
from thirdsentry_pipeline.warehouse.invariants import find_breaches, sentences

__all__ = ["lab"]

SEEDS_AT_A_TIME = 25
RED = pytest.StashKey[bool]()


def pytest_generate_tests(metafunc):
    """Give a test that a guard names one more turn: without the guard; share the seeds out."""
    if "seeds" in metafunc.fixturenames:
        first, wanted = (metafunc.config.getoption(name) for name in ("--first-seed", "--seeds"))
        numbers = range(first, first + wanted)
        shares = [numbers[at : at + SEEDS_AT_A_TIME] for at in range(0, wanted, SEEDS_AT_A_TIME)]
        metafunc.parametrize("seeds", shares, ids=[f"{one[0]} to {one[-1]}" for one in shares])
    if "removed_guard" not in metafunc.fixturenames:
        return
    is_long = metafunc.config.getoption("--long")
    guards = [
        guard.name
        for guard in all_guards().values()
        if metafunc.function.__name__ in guard.tests and (is_long or guard.quick)
    ]
    if guards:
        metafunc.parametrize(
            "removed_guard",
            [None, *guards],
            indirect=True,
            ids=["guarded", *(f"without {name}" for name in guards)],
        )


def pytest_collection_modifyitems(config, items):
    """Keep of the turns without a guard only the parameter that the guard names.

    What is marked ``long`` runs with ``--long`` alone, and then what takes minutes comes first:
    begun last, it would leave the other processes idle.
    """
    is_long = config.getoption("--long")
    unwanted = {
        item
        for item in items
        if is_unwanted(item) or (item.get_closest_marker("long") and not is_long)
    }
    items[:] = [item for item in items if item not in unwanted]
    if is_long:
        items.sort(key=lambda item: item.get_closest_marker("minutes") is None)
    for item in items:
        figures.note_fault(item, guard_of(item))


def guard_of(item):
    callspec = getattr(item, "callspec", None)
    name = callspec.params.get("removed_guard") if callspec is not None else None
    return all_guards()[name] if name else None


def is_unwanted(item):
    guard = guard_of(item)
    if guard is None or guard.only is None:
        return False
    return not any(str(value) == guard.only for value in item.callspec.params.values())


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Turn the outcome over for a test without its guard: it has to fail."""
    outcome = yield
    report = outcome.get_result()
    guard = guard_of(item)
    if report.failed:
        item.stash[RED] = True
    if guard is None or (call.when == "setup" and report.failed):
        return
    if call.when in {"call", "teardown"} and report.failed:
        report.outcome = "passed"
    elif call.when == "teardown" and RED not in item.stash:
        report.outcome = "failed"
        report.longrepr = f"it stayed green without its guard: {guard.removes}"


@pytest.fixture(autouse=True)
def removed_guard(request, monkeypatch):
    """The guard this turn does without, removed here and, by the environment, in victims."""
    name = getattr(request, "param", None)
    if name is not None:
        monkeypatch.setenv(VARIABLE, name)
        if not {"town", "own_town"} & set(request.fixturenames):
            apply_to_process(monkeypatch)
    return name


@pytest.fixture(scope="session")
def fault_database(coverage_template, postgres_server, worker_id):
    """This worker's database, migrated and with the coverage schema, cloned when it is used."""
    warehouse = WarehouseDatabase(postgres_server, f"faults_{worker_id}", coverage_template)
    yield warehouse
    warehouse.drop()


@pytest.fixture
def clean_database(removed_guard, fault_database):
    """A fresh warehouse with its coverage schema; after the test every invariant must hold."""
    fault_database.reset()
    take_away_in(fault_database)
    yield fault_database
    assert breaches(fault_database) == []
    fault_database.dispose()


def breaches(database):
    """The sentences of what does not hold in a warehouse at this moment."""
    return sentences(find_breaches(database.engine("admin"), database.engine("pipeline")))


@pytest.fixture(scope="session")
def ground(coverage_template, dagster_template, postgres_server, sandbox, zygote):
    """What a town is built on and from."""
    return {
        "server": postgres_server,
        "template": coverage_template,
        "dagster_template": dagster_template,
        "sandbox": sandbox,
        "zygote": zygote,
    }


@pytest.fixture(scope="session")
def townhall(ground, worker_id, tmp_path_factory):
    """Builds towns on the session's server, and keeps one between tests that leave it whole."""
    hall = Townhall(ground, worker_id, tmp_path_factory)
    yield hall
    hall.close()


class Townhall:
    def __init__(self, parts, worker_id, homes) -> None:
        self.parts = parts
        self.worker_id = worker_id
        self.homes = homes
        self.kept = None

    def town(self):
        """The kept town, or a new one when it fell or the sandbox was emptied meanwhile."""
        if self.kept is not None and not self.kept.is_standing():
            self.close()
        if self.kept is None:
            self.parts["sandbox"].admin.reset()
            name = f"faults_{self.worker_id}"
            self.kept = found(name=name, home=self.homes.mktemp("town"), **self.parts)
        town, self.kept = self.kept, None
        return town

    def keep(self, town):
        self.kept = town

    def close(self):
        if self.kept is not None:
            self.kept.leave()
            self.kept = None


@pytest.fixture
def town(request, townhall, monkeypatch, sandbox_environment, removed_guard):
    """Two connected organizations and their twin; after the test every invariant must hold.

    It is shared between tests; one that failed, or that had to do without a guard, leaves it
    to nobody.
    """
    yield from lived_in(request.node, townhall, monkeypatch, removed_guard)


def lived_in(node, hall, monkeypatch, without):
    with pytest.MonkeyPatch.context() as whole:
        whole.delenv(VARIABLE, raising=False)
        town = hall.town()
    for name, value in town.environment.items():
        monkeypatch.setenv(name, value)
    take_away_in(town.lab.database)
    apply_to_process(monkeypatch)
    town.change()
    yield town
    try:
        assert town.breaches() == []
    except BaseException:
        town.leave()
        raise
    if without is None and not node.stash.get(RED, False):
        hall.keep(town)
    else:
        town.leave()


@pytest.fixture(scope="module")
def own_server(tmp_path_factory):
    """A Postgres of this module's own, durable as in production: it may be killed and filled."""
    home = tmp_path_factory.mktemp("own-postgres")
    home.chmod(0o711)
    EmbeddedPostgres(home).start()
    server = DatabaseServer(home)
    # Nobody but a COMMIT that waits writes the log: the server's own writer, five times a second,
    # may be what makes one durable that does not.
    server.execute(sql.SQL("alter system set wal_writer_delay = '10s'"))
    server.execute(sql.SQL("select pg_reload_conf()"))
    server.prepare_template()
    make_dagster_template(server, "dagster_template", tmp_path_factory.mktemp("dagster-template"))
    yield server
    EmbeddedPostgres(home).stop()


@pytest.fixture(scope="module")
def own_townhall(own_server, sandbox, zygote, tmp_path_factory):
    """Builds towns on the module's own server; they have no coverage schema."""
    parts = {
        "server": own_server,
        "template": WAREHOUSE_DATABASE,
        "dagster_template": "dagster_template",
        "sandbox": sandbox,
        "zygote": zygote,
    }
    hall = Townhall(parts, "own", tmp_path_factory)
    yield hall
    hall.close()


@pytest.fixture
def own_town(request, own_townhall, monkeypatch, sandbox_environment, removed_guard):
    """A town whose Postgres is its own; like ``town`` otherwise."""
    yield from lived_in(request.node, own_townhall, monkeypatch, removed_guard)


def take_away_in(database):
    """Remove the turn's guard from a database, if it stands there."""
    with database.engine("admin").begin() as connection:
        # Without parameters the driver sends a statement as it stands: a % in it is only a %.
        apply_to_database(connection.execution_options(no_parameters=True).exec_driver_sql)
