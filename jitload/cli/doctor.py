"""`jitload doctor`: what works on this machine, what does not, and what to do about it.

First all checks run and give data; then the data is printed. A check that fails in a way nobody thought of is a
problem in the list, never a traceback: the command is for machines on which things are broken.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from jitload import config
from jitload.cli.checks import bundles, cache, compiler, devices, host, launch, machine_code, remote
from jitload.cli.checks.finding import Finding, problem
from jitload.cli.checks.sample import Sample
from jitload.cli.console import EXIT_FAILED, clean_failures, new_app
from jitload.cli.tables import JsonRow, format_count, line_width, plain, wrapped

Check = Callable[[Sample], Finding]

#: The ground that every other check stands on.
GROUND: dict[str, Check] = {
    "python": host.check_python,
    "platform": host.check_platform,
    "jitload": host.check_jitload,
    "dependencies": host.check_dependencies,
    "settings": host.check_settings,
}

#: A new check is a function and a line here.
CHECKS: dict[str, Check] = {
    "nvrtc": compiler.check_nvrtc,
    "compile": compiler.check_compile,
    "nvfatbin": compiler.check_nvfatbin,
    "nvjitlink": compiler.check_nvjitlink,
    "headers": compiler.check_headers,
    "driver": devices.check_driver,
    "gpu": devices.check_gpu,
    "launches": launch.check_launch,
    "cpu executor": devices.check_executor,
    "machine code": machine_code.check_machine_code,
    "device": devices.check_device,
    "bundles": bundles.check_bundles,
    "cache": cache.check_cache,
    "read-only dirs": cache.check_read_only_dirs,
    "remote": remote.check_remote,
}

MAX_PROGRAMS_SHOWN = 5
#: What was found stands beside its check where it has so many columns there, else below it.
MIN_BESIDE = 40

app = new_app()


@dataclass(frozen=True)
class Result:
    """A finding with the name of its check, and what jitload warned of meanwhile."""

    name: str
    finding: Finding
    warnings: tuple[str, ...]


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Say what works on this machine, and how to mend the rest.

    Every line that is not ok says what to do. Compiles a tiny kernel and runs it, on the GPU where there is one and on
    the CPU executor. Exits with 0 when kernels can be compiled and run under the settings in force, or when none can be
    compiled and bundles hold some that this machine runs; with 1 otherwise. A missing GPU is no problem.
    """
    results = examine()
    ready, verdict = judge(results)
    with clean_failures():
        if as_json:
            typer.echo(json.dumps(_as_json(results, ready, verdict), indent=2))
        else:
            typer.echo("\n".join([*_lines(results), "", *wrapped(verdict)]))
    if not ready:
        raise typer.Exit(EXIT_FAILED)


def examine() -> list[Result]:
    """Run the checks; only those of the ground where no setting can be read."""
    sample = Sample()
    results = [_run(name, check, sample) for name, check in GROUND.items()]
    if results[-1].finding.details:  # the settings can be read
        results += [_run(name, check, sample) for name, check in CHECKS.items()]
        results = _with_own_warnings(results)
    return results


def _with_own_warnings(results: list[Result]) -> list[Result]:
    """The results, each with the warnings about its subject, whichever check was the first to come upon that.

    jitload warns once: of a cache directory when the first kernel is looked up, which is in another check.
    """
    settings = config.current()
    subjects = {
        "read-only dirs": ("JITLOAD_READ_ONLY_DIRS", *settings.read_only_dirs),
        "cache": ("JITLOAD_CACHE_DIR", *([settings.cache_dir] if settings.cache_dir else [])),
        "remote": ("JITLOAD_REMOTE", *([str(settings.remote)] if settings.remote else [])),
        "bundles": ("the bundle", *map(str, settings.bundles)),
    }
    told: dict[str, list[str]] = {result.name: [] for result in results}
    for result in results:
        for text in result.warnings:
            own = (name for name, words in subjects.items() if any(word in text for word in words))
            told[next(own, result.name)].append(text)
    return [replace(result, warnings=tuple(told[result.name])) for result in results]


def judge(results: list[Result]) -> tuple[bool, str]:
    """Whether kernels can be compiled and run here, and that in a sentence."""
    findings = {result.name: result.finding for result in results}
    settings = findings["settings"].details
    if not settings:
        return False, "Not ready: the settings cannot be read."
    # Where compiling is off on purpose, a compiler is not needed.
    never = settings.get("JITLOAD_COMPILE") == "never"
    compiles = findings["compile"].status == "ok"
    bundled = findings["bundles"]
    runs = findings["device"].status == "ok" and bundled.status == "ok"
    where = "GPU" if findings["device"].details.get("device") == "cuda" else "CPU executor"
    if runs and settings.get("JITLOAD_STRICT") and not bundled.details.get("covers"):
        return (
            False,
            f"Not ready: no bundle in force holds what the {where} runs, and in strict mode nothing else answers.",
        )
    if runs and (compiles or never):
        done = "compile and run" if compiles and not never else "that were compiled elsewhere run"
        return True, f"Ready: kernels {done} here, on the {where}."
    if runs and bundled.details.get("covers"):
        served = _describe_served(bundled.details)
        return True, f"Ready for {served} on the {where}; nothing else can be compiled here (see the lines above)."
    lacks = []
    if not compiles and not never:
        lacks.append("nothing can be compiled")
    if not runs:
        lacks.append("no kernel runs")
    return False, f"Not ready: {' and '.join(lacks)} here; the lines above say what to do."


def _describe_served(bundled: Mapping[str, Any]) -> str:
    """What the bundles in force hold for this machine."""
    rows = [row for row in bundled["bundles"] if row["runs_here"]]
    names = sorted({name for row in rows for name in row["programs"] or ()})
    if not names or any(row["programs"] is None for row in rows):
        return f"the {format_count(sum(row['requests'] for row in rows), 'request')} of its bundles"
    shown = ", ".join(map(plain, names[:MAX_PROGRAMS_SHOWN]))
    more = len(names) - MAX_PROGRAMS_SHOWN
    return f"{shown}{f' and {more} more' if more > 0 else ''} from its bundles"


class _Listener(logging.Handler):
    """Collects what jitload warns of, which would otherwise land between the lines."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _run(name: str, check: Check, sample: Sample) -> Result:
    logger, listener = logging.getLogger("jitload"), _Listener()
    logger.addHandler(listener)
    try:
        finding = check(sample)
    except Exception as error:  # noqa: BLE001 - see the docstring of this file
        finding = problem(f"the check itself failed: {type(error).__name__}: {error}", "please report this line")
    finally:
        logger.removeHandler(listener)
    # What the finding says itself need not be said twice.
    return Result(name, finding, tuple([text for text in listener.messages if text not in _said(finding)]))


def _said(finding: Finding) -> str:
    return finding.found.replace("\n", "; ")


def _lines(results: list[Result]) -> list[str]:
    width = max(len(result.name) for result in results)
    margin = width + 2 + len("missing") + 2
    beside = line_width() - margin >= MIN_BESIDE
    if not beside:
        margin = 2
    lines = []
    for result in results:
        finding = result.finding
        texts = [finding.found, *(f"warning: {text}" for text in result.warnings)]
        if finding.status != "ok":
            texts.append(f"-> {finding.fix}")
        body = [part for text in texts for line in text.splitlines() for part in wrapped(line, margin)]
        head = f"{result.name:<{width}}  {finding.status:<7}"
        lines.append(f"{head}  {body.pop(0)}" if beside else head.rstrip())
        lines += [f"{' ' * margin}{line}".rstrip() for line in body]
    return lines


def _as_json(results: list[Result], ready: bool, verdict: str) -> JsonRow:
    return {
        "ready": ready,
        "verdict": verdict,
        "checks": [
            {
                "name": result.name,
                "status": result.finding.status,
                "found": result.finding.found,
                "fix": result.finding.fix,
                "warnings": list(result.warnings),
                "details": dict(result.finding.details),
            }
            for result in results
        ],
    }
