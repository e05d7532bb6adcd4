import functools

import pytest

from tests.unit.aws.canned import CannedAws
from thirdsentry_pipeline.aws.reading import Reads, Slot, attempt


class ReadsAtOnce(Reads):
    """Every answer is there, and followed, before who asked for it gets the slot."""

    def start(self, action, read, then=None):
        slot = Slot(action)
        answer = attempt(action, read)
        if then is not None:
            then(answer)
        slot.answer = answer
        return slot


@pytest.fixture
def aws():
    """An AWS that answers what the test says, byte for byte."""
    return CannedAws()


@pytest.fixture
def session(aws):
    """An open session whose answers come from ``aws``."""
    with aws.session() as session:
        yield session


class _LateSlot(Slot):
    """Answered, and followed, just as it is looked at."""

    __slots__ = ("_look",)

    def __init__(self, look):
        self._look = functools.cache(look)

    @property
    def answer(self):
        return self._look()


class ReadsAtLast(Reads):
    """No answer is there before somebody looks at it."""

    def start(self, action, read, then=None):
        def look():
            answer = attempt(action, read)
            if then is not None:
                then(answer)
            return answer

        return _LateSlot(look)


@pytest.fixture(
    params=[Reads, ReadsAtOnce, ReadsAtLast], ids=["in-threads", "at-once", "at-the-last-moment"]
)
def reads_class(request):
    """Answers while who asked for them goes on, the earliest and the latest there can be."""
    return request.param


@pytest.fixture
def reads(reads_class):
    """The reads of one account, one at a time."""
    return reads_class(max_workers=1, deadline_seconds=30)
