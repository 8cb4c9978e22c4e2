"""What the closure records of a cache directory take of its bound, and which of them go.

The index has the sums of each directory of records, compared with it like those of entries (account.py). A record goes
with the last entry that it leads to. What leads nowhere since its entries went unseen is not looked for: a directory of
records that is too large loses its oldest ones, each of which costs a scan of headers where it is still of use.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jitload.tiers.contents import HEADROOM
from jitload.tiers.ledger import RACY_SECONDS
from jitload.tiers.sums import ShardSums, shards_to_settle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from jitload.tiers.disk import DiskStore
    from jitload.tiers.ledger import Found, Ledger

    #: Shard -> (what was in its directory, the time of its change before that, in nanoseconds).
    Listed: TypeAlias = dict[str, tuple[Found, int]]

#: The part of a bound that records count for at most, and may take: the rest is always there for entries.
SHARE = 2
#: One of the 256 directories of records may always be this large.
LEAST_SHARD_BYTES = 64 << 10


def bytes_in_bound(total: int, bound: int) -> int:
    """What records of so many bytes count for of a bound, in bytes."""
    return min(total, max(0, bound) // SHARE)


def list_records(disk: DiskStore, sums: Mapping[str, ShardSums], files: int | None) -> Listed:
    """The directories of records that may differ from the index: some, or all.

    Args:
        disk: the cache directory.
        sums: what the index says of them.
        files: how many files may be looked at, about; None for all of them.
    """
    chosen = shards_to_settle(sums, disk.contents.shards("manifests"), files)
    return {shard: (disk.contents.list_shard(shard, "manifests"), mtime) for shard, mtime in chosen.items()}


def settle_records(disk: DiskStore, ledger: Ledger, listed: Listed) -> None:
    """Write down what directories of records hold, and drop the oldest of one that holds too much."""
    most = max(LEAST_SHARD_BYTES, disk.max_bytes // SHARE // 256)
    for shard, (found, mtime) in listed.items():
        sizes = {digest: size for digest, (size, _) in found.items()}
        total = sum(sizes.values())
        settled = mtime if time.time() - mtime / 1e9 > RACY_SECONDS else 0
        for digest in sorted(sizes, key=lambda digest: found[digest][1]) if total > most else ():
            if total <= most * HEADROOM:
                break
            if disk.contents.drop_record(digest):
                settled = 0
                total -= sizes.pop(digest)
        ledger.set_record_sums(shard, ShardSums(len(sizes), total, settled))


def count_records(disk: DiskStore, sums: Mapping[str, ShardSums]) -> tuple[int, int]:
    """(number, bytes) of the closure records of a directory; those that the index knows are not looked at.

    Args:
        disk: the cache directory.
        sums: what the index says of them.
    """
    listed = list_records(disk, sums, None)
    known = [one for shard, one in sums.items() if shard not in listed]
    sizes = [size for found, _ in listed.values() for size, _ in found.values()]
    return len(sizes) + sum(one.entries for one in known), sum(sizes) + sum(one.bytes for one in known)
