"""Both sides of an air gap on one machine: build with a compiler and no GPU, deploy without a compiler or a network.

    python examples/air_gapped/air_gapped.py

The build side is the Python that runs this, with NVRTC. The deploy side is a second virtual environment with jitload,
NumPy and cryptography and nothing of CUDA, a HOME that cannot be written, and no network where the system allows that.
"""

import shutil
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import distribution
from pathlib import Path

import jitload

HERE = Path(__file__).parent
#: What the deploy side needs beside jitload: to run on the CPU, and to verify signatures.
PACKAGES = ("numpy", "cryptography", "cffi", "pycparser", "typer", "click", "rich", "shellingham")
ARCHS = "sm_80,sm_90a,sm_100f,compute_90"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="jitload-air-gapped-") as name:
        base = Path(name)
        build(base / "build")
        python = make_environment(base / "deploy-env")
        deploy(base / "build", base / "deploy", python)


def build(work: Path) -> None:
    """Record, compile, sign, check: a machine with NVRTC, no GPU."""
    shutil.copytree(HERE, work, ignore=shutil.ignore_patterns("__pycache__"))
    settings = {"JITLOAD_CACHE_DIR": str(work / "cache"), "JITLOAD_DEVICE": "cpu", "PYTHONPATH": root()}
    jitload_command = [sys.executable, "-m", "jitload"]

    say("build side: record what the application asks for")
    run([*jitload_command, "record", "-o", "app.jlw", "--", sys.executable, "app.py"], work, settings)
    say(f"build side: compile it for {ARCHS} and make a bundle")
    run([*jitload_command, "bundle", "create", "app.jlw", "-o", "app.jlb", "--arch", ARCHS], work, settings)
    say("build side: sign it")
    run([*jitload_command, "bundle", "keygen", "ci.key", "--name", "ci"], work, settings)
    run([*jitload_command, "bundle", "sign", "app.jlb", "--key", "ci.key"], work, settings)
    say("build side: does it cover the application where it will run?")
    for gpu in ("cpu", "sm_86", "sm_90", "sm_103"):
        check = ["check", "-w", "app.jlw", "-b", "app.jlb", "--trust", "ci.key.pub", "--gpu", gpu]
        run([*jitload_command, *check], work, settings)
    run([*jitload_command, *check[:-1], "sm_70"], work, settings, expected=3)


def deploy(built: Path, site: Path, python: Path) -> None:
    """Run: no compiler, no network, nothing that can be written."""
    site.mkdir()
    for name in ("app.py", "saxpy.cu", "factor.h", "app.jlb", "ci.key.pub"):
        shutil.copy(built / name, site)
    home = site / "home"
    home.mkdir(mode=0o555)
    settings = {
        "HOME": str(home),
        "JITLOAD_BUNDLES": "app.jlb",
        "JITLOAD_TRUST": "ci.key.pub",
        "JITLOAD_COMPILE": "never",
        "JITLOAD_OFFLINE": "1",
        "JITLOAD_DEVICE": "cpu",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    say("deploy side: is there a compiler?")
    code = "from jitload.compiler.toolkit import find_nvrtc; print('NVRTC:', find_nvrtc())"
    run([str(python), "-c", code], site, settings)
    unshare = shutil.which("unshare")
    isolated = unshare is not None and subprocess.run([unshare, "-rn", "true"], check=False).returncode == 0  # noqa: S603
    say(f"deploy side: run, HOME read-only, {'no network at all' if isolated else 'network left as it is'}")
    prefix = [unshare, "-rn"] if unshare is not None and isolated else []
    run([*prefix, str(python), "app.py"], site, settings)
    assert not list(home.iterdir())
    say("deploy side: one byte of the bundle altered")
    data = bytearray((site / "app.jlb").read_bytes())
    data[200] ^= 1
    (site / "app.jlb").write_bytes(data)
    run([*prefix, str(python), "app.py"], site, settings, expected=1)
    home.chmod(0o755)


def make_environment(place: Path) -> Path:
    """A virtual environment with the packages of the deploy side, linked from this one so that no network is needed."""
    venv.create(place, symlinks=True, with_pip=False)
    (site_packages,) = place.glob("lib/python*/site-packages")
    for name in PACKAGES:
        try:
            found = distribution(name)
        except ModuleNotFoundError:
            continue  # not a dependency of the versions installed here
        for top in {file.parts[0] for file in found.files or () if file.parts[0] not in {"..", "__pycache__"}}:
            target = site_packages / top
            if not target.exists():
                target.symlink_to(Path(str(found.locate_file(top))))
    (site_packages / "jitload").symlink_to(Path(jitload.__file__).parent)
    return place / "bin" / "python"


def root() -> str:
    return str(Path(jitload.__file__).parent.parent)


def run(command: list[str], work: Path, settings: dict[str, str], expected: int = 0) -> None:
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **settings}
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    # Of a failure that was expected, the last line is enough.
    messages = done.stderr.splitlines()
    for line in [*done.stdout.splitlines(), *(messages[-1:] if done.returncode == expected else messages)]:
        print("   ", line)
    if done.returncode != expected:
        raise SystemExit(f"exit code {done.returncode}, expected {expected}: {' '.join(command)}")


def say(what: str) -> None:
    print(f"\n{what}")


if __name__ == "__main__":
    main()
