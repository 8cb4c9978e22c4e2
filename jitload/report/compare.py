"""The page of two caches or bundles beside each other: what the second one takes more of, or less."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jitload.artifact import Artifact
from jitload.errors import LoadError
from jitload.report.cache import MAX_ENTRIES
from jitload.report.kernels import artifact_rows, kernel_name
from jitload.report.page import Cell, Page, Table, cells
from jitload.source.arch import capability
from jitload.tiers.row import written_options
from jitload.values import BLOB

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from jitload.bundles.bundle import Bundle
    from jitload.report.kernels import Row
    from jitload.tiers.cache import Cache
    from jitload.tiers.stats import Stats

    Identity = tuple[str, str, str, str, str]  # program, kernels, kind, arch, options: the columns of `_IMAGE`

_IMAGE = ("Program", "Kernels", "Kind", "Arch", "Options")
_KERNEL = ("Kernel", "Arch", "Registers", "Spills", "Stack", "Shared", "Code", "Occupancy")
_KERNEL_NOTE = (
    "Registers, spills (bytes stored and loaded) and stack are per thread, shared memory is per block; occupancy is "
    "that of the best block. Only what differs is listed, on machine code that both have."
)
_IMAGE_NOTE = (
    "Times are those of the compile that made each image, which bundles do not keep; below a twentieth of a second "
    "they are noise."
)
#: Bytes may differ by so much of themselves, and compiles take so much longer, before it is marked.
_SIZE, _TIME, _SECONDS = 0.05, 1.5, 0.05


#: Fields of `Resources` that a row has.
_TAKEN = ("registers", "stack_bytes", "shared_bytes", "spill_store_bytes", "spill_load_bytes", "code_bytes")


class Image(NamedTuple):
    """What is known of an image.

    Attributes:
        bytes: its size.
        seconds: what its compile took; None of an image in a bundle, which does not keep it.
        rows: its kernels by archs, as `artifact_rows` gives them.
    """

    bytes: int
    seconds: float | None
    rows: Sequence[Row]


class Side(NamedTuple):
    """One of the two.

    Attributes:
        name: what it is, for people.
        images: by what they are of: program, kernels, kind, arch and options.
        counts: what requests got, of a cache.
    """

    name: str
    images: Mapping[Identity, Image]
    counts: Stats | None = None


def cache_side(cache: Cache) -> Side:
    """The last used entries of a cache; of two of the same program that one which was used last."""
    images: dict[Identity, Image] = {}
    for entry in sorted(cache.entries(), key=lambda entry: (-entry.used, entry.key))[:MAX_ENTRIES]:
        identity = (entry.name, ", ".join(entry.kernels), entry.kind, entry.arch, entry.options)
        if cache.disk is None or entry.kind in {"", BLOB} or identity in images:
            continue
        artifact, _ = cache.disk.peek(entry.key)
        if isinstance(artifact, Artifact):
            images[identity] = Image(len(artifact.data), entry.compile_seconds, _rows(artifact, entry.options))
    return Side(f"cache {cache.directory}", images, cache.counted()[1])


def bundle_side(bundle: Bundle) -> Side:
    """Every image of a bundle.

    Raises:
        BundleError: it is damaged.
    """
    images: dict[Identity, Image] = {}
    for entry in bundle.entries():
        artifact, options = entry.artifact, written_options(entry.factors)
        names = ", ".join(sorted(artifact.kernels))
        identity = (artifact.name, names, artifact.kind.value, artifact.arch, options)
        images[identity] = Image(len(artifact.data), None, _rows(artifact, options))
    return Side(f"bundle {bundle.path}", images)


def _rows(artifact: Artifact, options: str) -> list[Row]:
    try:
        return artifact_rows(artifact, options)
    except LoadError:
        return []  # `jitload cache verify` says what is wrong with it


def compare_page(before: Side, after: Side) -> Page:
    """The page of two caches or bundles.

    Args:
        before: what the other is measured by.
        after: the other.
    """
    pairs = _pairs(before.images, after.images)
    kernels = [
        both
        for one, other in pairs.items()
        for both in _same_kernels(before.images[one].rows, after.images[other].rows)
    ]
    differing = [(old, new) for old, new in kernels if _is_other(old, new)]
    facts = [
        ("Before", before.name),
        ("After", after.name),
        ("Images", f"{len(before.images):,} → {len(after.images):,}, of which {len(pairs):,} are in both"),
        ("Kernels that differ", f"{len(differing):,} of {len(kernels):,} with machine code in both"),
    ]
    if before.counts is not None and after.counts is not None:
        facts.append(("Hit rate", f"{_rate(before.counts)} → {_rate(after.counts)}"))
    parts = [
        *_by_arch(differing),
        *_kernels(differing),
        *_answers(before.counts, after.counts),
        *_images([(one, other, before.images[one], after.images[other]) for one, other in pairs.items()]),
        *_only("Only before", before.images, pairs.keys()),
        *_only("Only after", after.images, set(pairs.values())),
    ]
    return Page("Before and after", facts, parts)


def _pairs(before: Iterable[Identity], after: Iterable[Identity]) -> dict[Identity, Identity]:
    """What is the same; and what is but for its options, where there is one of it on each side."""
    pairs = {one: one for one in set(before) & set(after)}
    rest: dict[tuple[str, ...], tuple[list[Identity], list[Identity]]] = {}
    for number, side in enumerate((before, after)):
        for one in side:
            if one not in pairs:
                rest.setdefault(one[:-1], ([], []))[number].append(one)
    pairs |= {old[0]: new[0] for old, new in rest.values() if len(old) == len(new) == 1}
    return dict(sorted(pairs.items()))


def _kernels(differing: Sequence[tuple[Row, Row]]) -> list[Table]:
    rows = [_kernel_cells(old, new) for old, new in differing]
    return [Table("Kernels that differ", _KERNEL, rows, _KERNEL_NOTE)] if rows else []


def _same_kernels(old: Iterable[Row], new: Iterable[Row]) -> list[tuple[Row, Row]]:
    found = {(row["kernel"], row["arch"]): row for row in new}
    return [(row, found[row["kernel"], row["arch"]]) for row in old if (row["kernel"], row["arch"]) in found]


def _is_other(old: Row, new: Row) -> bool:
    return any(old[name] != new[name] for name in ("occupancy", *_TAKEN))


def changed(old: float, new: float, form: str = ",.0f", *, sign: int = 1, least: float = 0.0) -> Cell:
    """A figure then and now; one that did not change is written once.

    Args:
        old: then.
        new: now.
        form: how it is written.
        sign: 1 where more is worse, -1 where it is better, 0 where neither is.
        least: the share of the old one by which it has to differ to be marked.
    """
    texts = [format(value, form) for value in (old, new)]
    if texts[0] == texts[1]:
        return Cell(texts[0])
    worse = (new - old) * sign
    marked = sign and abs(new - old) > least * abs(old)
    share = f" ({(new - old) / old:+.0%})" if old and not form.endswith("%") else ""
    return Cell(f"{texts[0]} → {texts[1]}{share}", tone=("bad" if worse > 0 else "good") if marked else "")


def _kernel_cells(old: Row, new: Row) -> list[Cell]:
    return [
        Cell(_name(old, new), note=old["program"]),
        Cell(old["arch"]),
        changed(old["registers"], new["registers"]),
        changed(_spills(old), _spills(new)),
        changed(old["stack_bytes"], new["stack_bytes"]),
        changed(old["shared_bytes"], new["shared_bytes"]),
        changed(old["code_bytes"], new["code_bytes"], least=_SIZE),
        changed(_occupancy(old), _occupancy(new), ".0%", sign=-1),
    ]


def _name(old: Row, new: Row) -> str:
    """With its options, where it has any, and with both where they are others now."""
    if old["options"] == new["options"]:
        return kernel_name(old)
    return f"{old['kernel']} ({_options(old['options'], new['options'])})"


def _options(old: str, new: str) -> str:
    return old if old == new else f"{old or 'none'} → {new or 'none'}"


def _spills(row: Row) -> int:
    return (row["spill_store_bytes"] or 0) + (row["spill_load_bytes"] or 0)


def _occupancy(row: Row) -> float:
    return row["occupancy"]["fraction"] if row["occupancy"] else 0.0


def _by_arch(differing: Sequence[tuple[Row, Row]]) -> list[Table]:
    """Registers then and now, kernels by archs, where there are several archs."""
    archs = sorted({old["arch"] for old, _ in differing}, key=capability)
    if len(archs) < 2:
        return []
    rows: dict[tuple[str, str], dict[str, Cell]] = {}
    for old, new in differing:
        registers, spills = _kernel_cells(old, new)[2:4]
        tone = spills.tone or registers.tone
        rows.setdefault((old["program"], _name(old, new)), {})[old["arch"]] = registers._replace(
            tone=tone, note=f"spills {spills.text}"
        )
    table = [
        [Cell(name, note=of), *(found.get(arch, Cell("")) for arch in archs)] for (of, name), found in rows.items()
    ]
    note = "Registers per thread, of the kernels that differ. Red takes more of them or spills more, green less."
    return [Table("Registers by arch", ("Kernel", *archs), table, note)]


def _images(pairs: Iterable[tuple[Identity, Identity, Image, Image]]) -> list[Table]:
    rows = []
    for one, other, old, new in pairs:
        named = cells(*one[:-1], _options(one[-1], other[-1]))
        rows.append([*named, changed(old.bytes, new.bytes, least=_SIZE), _times(old.seconds, new.seconds)])
    header = (*_IMAGE, "Bytes", "Compile, s")
    return [Table("Images that both have", header, rows, _IMAGE_NOTE, figures=False)] if rows else []


def _times(old: float | None, new: float | None) -> Cell:
    """What two compiles took; nothing where only one of them is known."""
    if old is None or new is None:
        return Cell("")
    longer = new > old * _TIME and new - old > _SECONDS
    shorter = old > new * _TIME and old - new > _SECONDS
    return changed(old, new, ".3f", sign=0)._replace(tone="bad" if longer else "good" if shorter else "")


def _only(title: str, images: Mapping[Identity, Image], paired: Container[Identity]) -> list[Table]:
    rows = [
        [*cells(*identity), Cell(f"{image.bytes:,}"), Cell("" if image.seconds is None else f"{image.seconds:.3f}")]
        for identity, image in sorted(images.items())
        if identity not in paired
    ]
    return [Table(title, (*_IMAGE, "Bytes", "Compile, s"), rows, figures=False)] if rows else []


def _answers(before: Stats | None, after: Stats | None) -> list[Table]:
    """What requests got, as shares of all of them, since a day is not as long as another."""
    if before is None or after is None:
        return []
    counted = [
        {f"served by {tier}": count for tier, count in one.hits.items()}
        | {f"missed: {reason}": count for reason, count in one.misses.items()}
        for one in (before, after)
    ]
    names = [name for name in dict.fromkeys([*counted[0], *counted[1]]) if any(one.get(name) for one in counted)]
    sums = [sum(one.values()) or 1 for one in counted]
    rows = []
    for name in names:
        old, new = (one.get(name, 0) for one in counted)
        share = _share(old / sums[0], new / sums[1], -1 if name.startswith("served") else 1)
        rows.append([Cell(name), *cells(f"{old:,}", f"{new:,}"), share])
    return [Table("What requests got", ("Answer", "Before", "After", "Share"), rows)] if rows else []


def _share(old: float, new: float, sign: int) -> Cell:
    texts = f"{old:.1%}", f"{new:.1%}"
    if texts[0] == texts[1]:
        return Cell(texts[0])
    return Cell(" → ".join(texts), tone="bad" if (new - old) * sign > 0 else "good")


def _rate(counts: Stats) -> str:
    return "nothing counted" if counts.hit_rate is None else f"{counts.hit_rate:.1%}"
