"""The packages of an environment that have known vulnerabilities, by pip-audit: none may be there.

    python .ci/audit.py SITE_PACKAGES [--service URL]

Where the vulnerability service cannot be asked, the output says so and nothing fails: that is no fault of the packages.
Before that, a service that is planted here, and knows one vulnerability, shows that a find would fail.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distributions
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICE = "https://api.osv.dev/v1/query"
#: What pip-audit says where it has no answer: no network, no such host, a proxy's or the service's own fault.
NO_ANSWER = (
    "ConnectionError",
    "ConnectionResetError",
    "ConnectTimeout",
    "HTTPError",
    "ProxyError",
    "ReadTimeout",
    "SSLError",
)


class Finds(Exception):  # noqa: N818 - what is found, not what went wrong
    """The packages with known vulnerabilities, one a line."""


class NotAsked(Exception):  # noqa: N818 - no error: nothing is known
    """The service gave no answer; the text has its last words."""


def audit(site_packages: str, service: str) -> int:
    """How many packages were asked for, and have no known vulnerability.

    Raises:
        Finds: some have.
        NotAsked: the service gave no answer.
        RuntimeError: pip-audit fails for another reason.
    """
    command = [sys.executable, "-m", "pip_audit", "--path", site_packages, "--vulnerability-service", "osv"]
    command += ["--osv-url", service, "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - all of it is ours
    if not done.stdout.startswith("{"):
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        if done.returncode and any(words in done.stderr for words in NO_ANSWER):
            raise NotAsked(last)
        raise RuntimeError(f"pip-audit ended with {done.returncode}: {done.stderr[-2000:]}")
    packages = json.loads(done.stdout)["dependencies"]
    found = [
        f"{package['name']} {package['version']}: {one['id']}, mended in {', '.join(one['fix_versions']) or 'none'}"
        for package in packages
        for one in package.get("vulns", ())
    ]
    if found:
        raise Finds("\n".join(found))
    return sum("vulns" in package for package in packages)


@contextmanager
def planted_service(vulnerable: str) -> Iterator[str]:
    """The URL of a service that knows one vulnerability of one package."""
    known = {"id": "PLANTED-1", "summary": "planted", "aliases": [], "published": "2000-01-01T00:00:00Z"}
    known["modified"] = known["published"]
    known["affected"] = [{"package": {"name": vulnerable, "ecosystem": "PyPI"}, "ranges": [], "versions": []}]

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
            answer = json.dumps({"vulns": [known]} if asked == vulnerable else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()


def check_itself(site_packages: str) -> None:
    """See a planted vulnerability found, and a service that is not there told apart.

    Raises:
        RuntimeError: one of them is taken for something else.
    """
    name = next(
        one.metadata["Name"] for one in distributions(path=[site_packages]) if one.metadata["Name"] != "jitload"
    )
    with planted_service(name) as service:
        try:
            audit(site_packages, service)
        except Finds as found:
            print(f"a planted vulnerability is found: {found}")
        else:
            raise RuntimeError(f"a planted vulnerability of {name} is not found")
    try:
        audit(site_packages, service)
    except NotAsked:
        return
    raise RuntimeError("a service that is not there is taken for one that answers")


def main() -> int:
    """1 when a package has a known vulnerability."""
    parser = argparse.ArgumentParser()
    parser.add_argument("site_packages")
    parser.add_argument("--service", default=SERVICE)
    options = parser.parse_args()
    check_itself(options.site_packages)
    try:
        asked = audit(options.site_packages, options.service)
    except NotAsked as why:
        print(f"NOT AUDITED: the vulnerability service {options.service} gives no answer ({why})")
        return 0
    except Finds as found:
        print(f"known vulnerabilities:\n{found}")
        return 1
    print(f"none of {asked} packages has a known vulnerability")
    return 0


if __name__ == "__main__":
    sys.exit(main())
