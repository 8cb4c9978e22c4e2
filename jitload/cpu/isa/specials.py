"""Special registers (PTX ISA section 10): what each holds, and for how long it stays the same."""

from __future__ import annotations

from typing import NamedTuple


class SpecialRegister(NamedTuple):
    """One of them.

    Attributes:
        tells: what it holds, for people.
        bits: how wide it is; 1 for a predicate.
        axes: whether it has the parts `.x`, `.y`, `.z` and `.w`.
        lasts: "launch" where other blocks of as many find the same, "batch" where they do not, "never" where each read may
            find something new.
        linear: whether it is a linear function of the coordinates.
    """

    tells: str
    bits: int = 32
    axes: bool = False
    lasts: str = "launch"
    linear: bool = False


_NO_MEMORY = "0: no shared memory is reserved there"
SPECIALS: dict[str, SpecialRegister] = {
    "tid": SpecialRegister("the thread in its block", axes=True, linear=True),
    "ntid": SpecialRegister("threads of a block", axes=True),
    "ctaid": SpecialRegister("the block in its grid", axes=True, lasts="batch", linear=True),
    "nctaid": SpecialRegister("blocks of the grid", axes=True),
    "clusterid": SpecialRegister("the cluster in its grid", axes=True, lasts="batch"),
    "nclusterid": SpecialRegister("clusters of the grid", axes=True),
    "cluster_ctaid": SpecialRegister("the block in its cluster", axes=True),
    "cluster_nctaid": SpecialRegister("blocks of a cluster", axes=True),
    "cluster_ctarank": SpecialRegister("the number of the block in its cluster"),
    "cluster_nctarank": SpecialRegister("how many blocks a cluster has"),
    "is_explicit_cluster": SpecialRegister("whether the launch says how large clusters are", bits=1),
    "laneid": SpecialRegister("the lane in its warp"),
    "warpid": SpecialRegister("the warp in its block"),
    "nwarpid": SpecialRegister("warps of a block"),
    **{f"lanemask_{which}": SpecialRegister(f"a bit for each lane of the warp whose number is {words}") for which, words in (("eq", "the own one"), ("lt", "below the own one"), ("le", "not above it"), ("gt", "above it"), ("ge", "not below it"))},
    "smid": SpecialRegister("0: there is one multiprocessor"),
    "nsmid": SpecialRegister("1"),
    "gridid": SpecialRegister("1", bits=64),
    "current_graph_exec": SpecialRegister("0: no launch here belongs to a graph", bits=64),
    "clock": SpecialRegister("nanoseconds since the launch began, the lower word", lasts="never"),
    "clock_hi": SpecialRegister("the upper word", lasts="never"),
    "clock64": SpecialRegister("both words", bits=64, lasts="never"),
    "globaltimer": SpecialRegister("nanoseconds of the host's clock", bits=64, lasts="never"),
    "globaltimer_lo": SpecialRegister("the lower word", lasts="never"),
    "globaltimer_hi": SpecialRegister("the upper word", lasts="never"),
    "dynamic_smem_size": SpecialRegister("bytes of shared memory that the launch asked for"),
    "total_smem_size": SpecialRegister("bytes of shared memory of a block"),
    "aggr_smem_size": SpecialRegister("the same"),
    "reserved_smem_offset_begin": SpecialRegister(_NO_MEMORY),
    "reserved_smem_offset_end": SpecialRegister("where memory that is reserved for the system ends"),
    "reserved_smem_offset_cap": SpecialRegister("the same"),
    "reserved_smem_offset_0": SpecialRegister(_NO_MEMORY),
    "reserved_smem_offset_1": SpecialRegister("the middle of that memory"),
    **{f"pm{number}": SpecialRegister("0: nothing is counted there") for number in range(8)},
    **{f"pm{number}_64": SpecialRegister("the same", bits=64) for number in range(8)},
    **{f"envreg{number}": SpecialRegister("where the grid's own memory is" if number in {1, 2} else "0") for number in range(32)},
}  # fmt: skip
#: How the names of those begin that are linear functions of the coordinates.
LINEAR = tuple(f"{name}." for name, one in SPECIALS.items() if one.linear)


def find_special(name: str) -> SpecialRegister | None:
    """The one of a name such as `tid.x`, or None."""
    base, dot, axis = name.partition(".")
    found = SPECIALS.get(base)
    return (
        found if found is not None and found.axes == bool(dot) and (not dot or axis in {"x", "y", "z", "w"}) else None
    )
