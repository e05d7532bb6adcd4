"""The fault tests' laboratory, the invariants after each test, and tests without their guards."""

from dataclasses import dataclass

import pytest

from tests.databases import WarehouseDatabase
from tests.faults import figures
from tests.faults.guards import VARIABLE, all_guards, apply_to_database, apply_to_process
from tests.faults.twin import digest
from tests.faults.victims import Zygote
from tests.integration.operations.lab import ACCOUNT, ORGANIZATION, OTHER_ORGANIZATION, lab, lab_on
from thirdsentry_pipeline.domain.evidence import EvidenceType
from thirdsentry_pipeline.domain.identifiers import today
from thirdsentry_pipeline.operations.sync import sync_organization
from thirdsentry_pipeline.warehouse.invariants import find_breaches, sentences

__all__ = ["lab"]

OTHER_ACCOUNT = "222222222222"
RED = pytest.StashKey[bool]()


def pytest_generate_tests(metafunc):
    """Give a test that a guard names one more turn: without the guard."""
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


def pytest_collection_modifyitems(items):
    """Keep of the turns without a guard only the parameter that the guard names."""
    unwanted = [item for item in items if is_unwanted(item)]
    items[:] = [item for item in items if item not in unwanted]
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
    if guard is None or (call.when == "setup" and report.failed):
        return
    if call.when in {"call", "teardown"} and report.failed:
        item.stash[RED] = True
        report.outcome = "passed"
    elif call.when == "teardown" and not item.stash.get(RED, False):
        report.outcome = "failed"
        report.longrepr = f"it stayed green without its guard: {guard.removes}"


@pytest.fixture(autouse=True)
def removed_guard(request, monkeypatch):
    """The guard this turn does without, removed here and, by the environment, in victims."""
    name = getattr(request, "param", None)
    if name is not None:
        monkeypatch.setenv(VARIABLE, name)
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
    if removed_guard is not None:
        with fault_database.engine("admin").begin() as connection:
            apply_to_database(connection.exec_driver_sql)
    yield fault_database
    assert breaches(fault_database) == []
    fault_database.dispose()


def breaches(database):
    """The sentences of what does not hold in a warehouse at this moment."""
    return sentences(find_breaches(database.engine("admin"), database.engine("pipeline")))


@pytest.fixture(scope="session")
def zygote(tmp_path_factory):
    """The warm process that victims are forked from."""
    process = Zygote(tmp_path_factory.mktemp("victims"))
    yield process
    process.close()


def sync(lab, organization_id):
    """A sync without fault, in this process, as the Dagster asset calls it."""
    return sync_organization(
        lab.services, organization_id, today(lab.services.clock), tuple(EvidenceType), "retry"
    )


@dataclass
class Town:
    """Two connected organizations on one installation; the first one is where faults strike."""

    installation: object
    zygote: Zygote
    connection_id: object
    other_connection_id: object

    @property
    def lab(self):
        return self.installation.lab

    def victim(self, job="sync", *arguments, **options):
        return self.zygote.start(job, *(arguments or (ORGANIZATION,)), **options)

    def heal(self):
        """One retry of what was hit, and the other organization's day; both must succeed."""
        for organization_id in (ORGANIZATION, OTHER_ORGANIZATION):
            assert sync(self.lab, organization_id).status == "succeeded"

    def digest(self):
        return digest(self.lab.database.engine("admin"))


def people(lab):
    """Two organizations with an account each; returns their connections."""
    lab.organization(ORGANIZATION, "Acme")
    lab.organization(OTHER_ORGANIZATION, "Basalt")
    return (
        lab.connected(ORGANIZATION, ACCOUNT),
        lab.connected(OTHER_ORGANIZATION, OTHER_ACCOUNT),
    )


@pytest.fixture
def town(installation, zygote):
    """Two connected organizations; nothing was read yet."""
    return Town(installation, zygote, *people(installation.lab))


@pytest.fixture(scope="session")
def twin(coverage_template, postgres_server, sandbox, worker_id):
    """What the town's warehouse says when both organizations are read without any fault.

    Of the session's scope, so it is known before any guard is taken away.
    """
    database = WarehouseDatabase(postgres_server, f"twin_{worker_id}", coverage_template)
    database.reset()
    sandbox.admin.reset()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in sandbox.environment.items():
            environment.setenv(name, value)
        lab = lab_on(database, sandbox, sandbox.environment)
        people(lab)
        for organization_id in (ORGANIZATION, OTHER_ORGANIZATION):
            assert sync(lab, organization_id).status == "succeeded"
        said = digest(database.engine("admin"))
    assert breaches(database) == []
    database.drop()
    return said
