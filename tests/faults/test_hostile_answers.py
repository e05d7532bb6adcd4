"""Fault 24: whatever AWS answers, nothing passes that the answers don't prove."""

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.faults.answers.case import Laboratory, cases, check

ANSWERS_PER_BATCH = 2_000
# A case spoils more than six answers; that many are drawn for certain.
_ANSWERS_PER_CASE = 5


def pytest_generate_tests(metafunc):
    if "batch" in metafunc.fixturenames:
        batches = -(-metafunc.config.getoption("--answers") // ANSWERS_PER_BATCH)
        metafunc.parametrize("batch", range(batches))


@pytest.fixture
def laboratory():
    with Laboratory().open() as laboratory:
        yield laboratory


@pytest.mark.fault(24)
def test_no_answer_becomes_a_verdict_that_it_does_not_prove(
    laboratory, removed_guard, record_property, batch
):
    @settings(
        max_examples=ANSWERS_PER_BATCH // _ANSWERS_PER_CASE,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        # What fails without its guard need not be made small.
        phases=(Phase.generate,) if removed_guard else (Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @seed(batch)
    @given(cases())
    def hold(case):
        check(laboratory, *case)

    hold()
    assert laboratory.answers >= ANSWERS_PER_BATCH
    record_property("answers", laboratory.answers)
