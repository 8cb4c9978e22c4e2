"""The part of a command line that says what to compile: the same options, and the same requests, for every command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from jitload.device import resolve_device
from jitload.source.arch import normalize_arch
from jitload.source.request import CompileRequest
from jitload.target import NO_STAND_INS, default_target, device_options, stand_ins, wanted_options
from jitload.values import Kind

if TYPE_CHECKING:
    from typer.models import OptionInfo
    from typing_extensions import Unpack

    from jitload.source.fields import Wishes
    from jitload.target import StandIns

SourceFile = Annotated[Path, typer.Argument(metavar="FILE", help="CUDA C++ source.", show_default=False)]
Archs = Annotated[
    list[str] | None,
    typer.Option(
        "--arch",
        "-a",
        metavar="ARCH",
        help="What to compile for: sm_90, sm_90a, sm_100f, compute_80. Repeat it, or write a list with commas. "
        "Default: this machine's GPU, or compute_90 (which the CPU executor runs) where there is none.",
    ),
]
Kinds = Annotated[
    list[str] | None,
    typer.Option(
        "--kind",
        "-k",
        metavar="KIND",
        help="What to make: cubin, ptx, ltoir, fatbin. Repeat it, or write a list with commas. Default: a cubin for "
        "each sm_*, PTX for each compute_*.",
    ),
]
IncludeDirs = Annotated[
    list[str] | None, typer.Option("--include-dir", "-I", metavar="DIR", help="Directory for #include; repeatable.")
]
Defines = Annotated[
    list[str] | None, typer.Option("--define", "-D", metavar="NAME[=VALUE]", help="Define a macro; repeatable.")
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        "-n",
        metavar="EXPR",
        help="Instantiate a template, e.g. 'reduce<float, 256>', and keep its name; repeatable.",
    ),
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="OPTION", help="Pass on to NVRTC, e.g. --option=-lineinfo; repeatable."),
]

HostHeaders = Annotated[
    bool,
    typer.Option(
        "--host-headers/--no-host-headers",
        help="Whether <cstdint>, <stdio.h> and the like, which NVRTC lacks, come from jitload where yours do not.",
    ),
]


class Written(TypedDict, total=False):
    """The options of a command line that say how a source is compiled."""

    defines: list[str] | None
    host_headers: bool
    include_dirs: list[str] | None
    names: list[str] | None
    options: list[str] | None


def kind_option(default: str) -> OptionInfo:
    """The option --kind; `default` says in its help what stands in when it is left out."""
    option: OptionInfo = typer.Option("--kind", "-k", case_sensitive=False, help=f"What to make. Default: {default}")
    return option


def build_requests(
    file: Path, kind: Kind | None, archs: list[str] | None, **rest: Unpack[Written]
) -> tuple[Kind, list[CompileRequest]]:
    """The kind that the archs lead to, and one request per image: a fatbin holds all archs, other kinds one each.

    Raises:
        OSError: the file cannot be read.
        ValueError: a kind, arch or option that cannot be.
    """
    given = list(dict.fromkeys(normalize_arch(name) for item in archs or () for name in item.split(",")))
    wanted, target = default_target(kind, given or None)
    chosen = [target] if isinstance(target, str) else target
    groups = [chosen] if wanted is Kind.FATBIN else [[name] for name in chosen]
    wishes = as_wished(rest)
    wishes["options"] = wanted_options(wishes["options"])
    added = device_options(given or None)
    return wanted, [CompileRequest(file, kind=wanted, arch=group, device_options=added, **wishes) for group in groups]


def as_wished(written: Written) -> Wishes:
    """The options of a command line as a request takes them."""
    return {
        "defines": written.get("defines") or (),
        "host_headers": written.get("host_headers", True),
        "include_dirs": written.get("include_dirs") or (),
        "names": written.get("names") or (),
        "options": written.get("options") or (),
    }


def chosen_by_device(request: CompileRequest, kind: Kind | None, archs: list[str] | None) -> StandIns:
    """What will do where no arch was given: another image that the device runs."""
    return NO_STAND_INS if archs else stand_ins(request, resolve_device(), kind)
