"""One command for the day a GPU is at hand: everything that only hardware can answer, in at most nine minutes.

    python benchmarks/gpu_day.py --out DIR              # results.json, table.md, and a file and a log per step
    python benchmarks/gpu_day.py --list                 # the steps, the most worth first
    python benchmarks/gpu_day.py --prepare DIR          # the wheels to carry to a machine without a network
    python benchmarks/gpu_day.py --publish DIR          # the table of DIR into docs/performance.md

Every step runs in processes of its own and within a time of its own. Exits with 0 when nothing failed, 1 when something
did, 2 when there is no GPU. What it asks, and how to read the answers: docs/gpu_day.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: A driver that takes longer to say what the card is will not do for the rest.
MACHINE_SECONDS = 120
sys.path.insert(0, str(ROOT / "benchmarks"))

from gpu.check import FAIL, NO_TIME, Result  # noqa: E402
from gpu.native_code import adopt  # noqa: E402
from gpu.steps import NAMES, STEPS  # noqa: E402
from gpu.table import publish, section  # noqa: E402
from gpu.watch import SHORT_SLACK, Watch  # noqa: E402


def main() -> int:
    """Do what the command line says; the exit status."""
    options = parse()
    if options.list:
        for step in STEPS:
            print(f"{step.name:12} {step.seconds:4.0f} s  {step.question}")
        return 0
    if options.prepare:
        from gpu.prepare import prepare

        return prepare(options.prepare, options.python, options.cuda, options.without)
    if options.publish:
        print(publish(json.loads((options.publish / "results.json").read_text()), ROOT / "docs" / "performance.md"))
        return 0
    return spend_day(options.out.resolve(), options.only, options.minutes, options.short)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, metavar="DIR", help="run, and write the results there")
    what.add_argument("--prepare", type=Path, metavar="DIR", help="gather the wheels to carry")
    what.add_argument("--publish", type=Path, metavar="DIR", help="put the table of DIR into docs/performance.md")
    what.add_argument("--list", action="store_true", help="print the steps")
    parser.add_argument("--only", type=names, default=NAMES, help=f"some of {','.join(NAMES)}, separated by commas")
    parser.add_argument("--minutes", type=float, default=9.0, help="for everything; default: 9")
    parser.add_argument("--short", action="store_true", help="the smallest form of each step, to check the program")
    parser.add_argument("--cuda", default="13", metavar="VERSION", help="of the packages to carry: 12, 13, 13.0")
    parser.add_argument("--without", type=words, default=(), metavar="NAMES", help="packages that are there already")
    parser.add_argument("--python", default="3.12", metavar="VERSION", help="of the machine to prepare for")
    return parser.parse_args()


def words(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(filter(None, text.split(",")))


def names(text: str) -> tuple[str, ...]:
    """Steps by name."""
    wanted = words(text)
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: the steps are {', '.join(NAMES)}")
    return wanted


def spend_day(out: Path, only: tuple[str, ...], minutes: float, short: bool) -> int:
    """Run the steps, writing what is known after each result."""
    deadline = time.monotonic() + 60 * minutes * (SHORT_SLACK if short else 1)
    out.mkdir(parents=True, exist_ok=True)
    settle(out)
    print(f"native code of launches: {adopt()}", flush=True)
    machine, why = ask_machine()
    if machine is None:
        print(f"no GPU to ask: {why}")
        print("to check this program itself: python tests/driver/run.py python benchmarks/gpu_day.py --short --out DIR")
        return 2
    day = {"machine": machine, "steps": [], "short": short}
    print(f"{day['machine']['card']}, {day['machine']['arch']}; results go to {out}", flush=True)
    # Whoever ends this program early gets what is known by then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.suppress(KeyboardInterrupt):
        for step in STEPS:
            if step.name in only:
                run_step(step, day, out, deadline, short)
    write(day, out)
    shutil.rmtree(caches_in(out), ignore_errors=True)
    return report(day)


def ask_machine() -> tuple[dict | None, str]:
    """What `gpu.machine` says in a process of its own, or None and why there is no GPU."""
    command = [sys.executable, "-m", "gpu.machine"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MACHINE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return None, f"its driver does not answer within {MACHINE_SECONDS} s"
    if done.returncode:
        return None, (done.stdout or done.stderr).strip()
    return json.loads(done.stdout.splitlines()[-1]), ""


def settle(out: Path) -> None:
    """The environment of all that is started: this checkout first, and caches that begin empty."""
    paths = [str(ROOT), str(ROOT / "benchmarks"), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.environ["PYTHONUNBUFFERED"] = "1"
    for name in [name for name in os.environ if name.startswith("JITLOAD_")]:
        del os.environ[name]
    work = caches_in(out)
    os.environ["JITLOAD_CACHE_DIR"] = str(work / "jitload")
    os.environ["CUDA_CACHE_PATH"] = str(work / "cuda")
    os.chdir(ROOT)


def caches_in(out: Path) -> Path:
    """A directory of this process's own: what an earlier run left is not to be found."""
    return out / f"caches-{os.getpid()}"


def run_step(step, day, out, deadline, short) -> None:
    """One step, with its results in a file of its own after each check."""
    started = time.monotonic()
    results: list[dict] = []
    entry = {"name": step.name, "question": step.question, "seconds": 0.0, "results": results}
    day["steps"].append(entry)

    def tell(result) -> None:
        results.append(result._asdict())
        entry["seconds"] = round(time.monotonic() - started, 1)
        (out / f"{step.name}.json").write_text(json.dumps(entry, indent=1))
        if result.outcome in (FAIL, NO_TIME):
            print(f"  {result.outcome}: {result.name}: {result.seen[:300]}", flush=True)

    print(f"{step.name}: {step.question}", flush=True)
    until = min(deadline, started + step.seconds * (SHORT_SLACK if short else 1))
    watch = Watch(step.module, short=short, until=until, log=out / f"{step.name}.log", tell=tell)
    try:
        watch.run()
    except Exception as error:  # noqa: BLE001 - no step costs another one
        tell(Result("the step itself", FAIL, f"{type(error).__name__}: {error}", 0.0, {}))
    finally:
        write(day, out)


def write(day, out: Path) -> None:
    """Everything that is known by now."""
    (out / "results.json").write_text(json.dumps(day, indent=1))
    (out / "table.md").write_text(section(day))


def report(day) -> int:
    """The counts per step; the exit status."""
    failed = 0
    for step in day["steps"]:
        outcomes = [result["outcome"] for result in step["results"]]
        failed += outcomes.count(FAIL)
        counts = ", ".join(f"{outcomes.count(one)} {one}" for one in dict.fromkeys(outcomes))
        print(f"{step['name']:12} {step['seconds']:6.1f} s  {counts}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
