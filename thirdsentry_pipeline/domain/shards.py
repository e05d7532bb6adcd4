"""Which code location collects an organization when one location is too small for all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from thirdsentry_pipeline.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_SHARDS = 999
# The linear congruential generator of that paper, in 64 bits.
_MULTIPLIER = 2_862_933_555_777_941_757
_MODULUS = 2**64
_NAME = re.compile(r"shard_([1-9][0-9]{0,2})_of_([1-9][0-9]{0,2})")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of ``count`` shards, numbered from 1; every organization is in exactly one of them."""

    number: int = 1
    count: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether there is no other shard."""
        return self.count == 1

    def holds(self, organization_id: str) -> bool:
        """Whether the organization is this shard's."""
        return shard_number(organization_id, self.count) == self.number

    def of(self, organization_ids: Iterable[str]) -> list[str]:
        """Those of the organizations that are this shard's, in their order."""
        return [one for one in organization_ids if self.holds(one)]


WHOLE = Shard()


def shard_number(organization_id: str, count: int) -> int:
    """The shard of an organization: the same in every process, of shares that are even.

    One more shard takes 1 in ``count`` organizations from the others, and none changes places
    among those. Lamping and Veach's jump consistent hash: a few steps however many shards.
    """
    state = int.from_bytes(sha256(organization_id.encode()).digest()[:8], "big")
    found, jump = 0, 0
    while jump < count:
        found = jump
        state = (state * _MULTIPLIER + 1) % _MODULUS
        jump = int((found + 1) * (2**31 / ((state >> 33) + 1)))
    return found + 1


def parse_shard(name: str) -> Shard:
    """The shard a name like ``shard_2_of_3`` means.

    Raises:
        ConfigurationError: it names none.
    """
    found = _NAME.fullmatch(name)
    if found is None or int(found[1]) > int(found[2]):
        message = (
            f"{name[:40]!r} is no shard: name one like shard_2_of_3, its number from 1 to the "
            f"count of shards, at most {MOST_SHARDS}."
        )
        raise ConfigurationError(message)
    return Shard(int(found[1]), int(found[2]))
