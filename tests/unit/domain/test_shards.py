"""Every organization is in exactly one shard, and stays there as long as it can."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thirdsentry_pipeline.domain.errors import ConfigurationError
from thirdsentry_pipeline.domain.shards import WHOLE, Shard, parse_shard, shard_number

ORGANIZATIONS = [
    f"{number:024x}" for number in range(0x65F0A1B2C3D4E5F6A7B80000, 0x65F0A1B2C3D4E5F6A7B807D0)
]
ids = st.text("0123456789abcdef", min_size=24, max_size=24)


@given(ids, st.integers(1, 40))
def test_exactly_one_shard_holds_an_organization(organization_id, count):
    holders = [
        shard
        for number in range(1, count + 1)
        if (shard := Shard(number, count)).holds(organization_id)
    ]
    assert len(holders) == 1


@given(ids, st.integers(1, 40))
def test_one_more_shard_takes_organizations_and_moves_none_between_the_others(
    organization_id, count
):
    before, after = shard_number(organization_id, count), shard_number(organization_id, count + 1)
    assert after in {before, count + 1}


def test_shards_share_evenly_also_ids_that_were_made_one_after_another():
    sizes = Counter(shard_number(one, 4) for one in ORGANIZATIONS)
    assert sorted(sizes) == [1, 2, 3, 4]
    # Five standard deviations of a fair draw of 2,000.
    assert all(abs(size - 500) < 100 for size in sizes.values())


def test_the_draw_is_the_same_in_every_version():
    assert [shard_number(one, 3) for one in ORGANIZATIONS[:8]] == [1, 1, 3, 1, 2, 1, 3, 3]


def test_the_whole_holds_everything_in_its_order():
    assert WHOLE.is_whole
    assert WHOLE.of(ORGANIZATIONS) == ORGANIZATIONS
    assert parse_shard("shard_1_of_1") == WHOLE
    assert parse_shard("shard_2_of_3") == Shard(2, 3)


@pytest.mark.parametrize(
    "name",
    ["shard_0_of_2", "shard_3_of_2", "shard_1_of_1000", "shard_1", "shard_01_of_2", "shard_²_of_3"],
)
def test_a_name_of_no_shard_is_refused(name):
    with pytest.raises(ConfigurationError, match="shard_2_of_3"):
        parse_shard(name)
