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
    """The shard that draws highest for this organization: the same in every process.

    Another shard added draws for itself alone, so that it takes 1 in ``count`` organizations
    from the others and those don't change places among them.
    """
    if count == 1:
        return 1
    return max(
        range(1, count + 1),
        key=lambda number: sha256(f"{number}:{organization_id}".encode()).digest(),
    )


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
