"""Buckets of clouds that are not here: what their clients take, and that no secret of theirs is ever told."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time

import pytest

import jitload
from jitload.settings.address import Address
from jitload.tiers.remote.deadline import OPERATION_SECONDS
from jitload.tiers.remote.store import OUTAGES
from tests.tiers.remote.servers import require

pytest.importorskip("obstore", reason="obstore is not installed")

SECRET = "cGxhbnRlZC1zZWNyZXQtb2YtdGhpcy10ZXN0"
SLACK_SECONDS = 1.8
KEY = "ab" * 32
LOCAL = "http://127.0.0.1:9"  # where nobody listens
AZURE = {"AZURE_STORAGE_ACCOUNT_NAME": "account"}
#: URL, and what the environment says of who may use it: the client's own ways alone.
THERE = {
    "s3": (
        f"s3://kernels/team?endpoint={LOCAL}&region=eu",
        {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": SECRET},
    ),
    "az": (f"az://account/kernels/team?endpoint={LOCAL}", {**AZURE, "AZURE_STORAGE_ACCOUNT_KEY": SECRET}),
    "az, signed": (f"az://kernels/team?endpoint={LOCAL}", {**AZURE, "AZURE_STORAGE_SAS_TOKEN": f"sv=1&sig={SECRET}"}),
    "gs": ("gs://kernels/team", {}),  # with a key that the test makes
}
#: The same where the client refuses at once.
REFUSED = {
    "gs, a key that is none": ("gs://kernels", {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps({"private_key": SECRET})}),
    "gs, a file that is none": ("gs://kernels", {"GOOGLE_SERVICE_ACCOUNT": f"/nowhere/{SECRET}"}),
    "gs, a parameter of others": (f"gs://kernels?endpoint={LOCAL}", {}),
    "az, a key that is none": (f"az://account/kernels?endpoint={LOCAL}", {"AZURE_STORAGE_ACCOUNT_KEY": f"{SECRET}%%"}),
    "az, no container": ("az://", {}),
    "a parameter that nobody knows": (f"s3://kernels/team?sig={SECRET}", {}),
}


@pytest.fixture
def open_cloud(monkeypatch, tmp_path):
    """`open_cloud(url, variables)`: the tier of a session that is left at the end, or None."""
    with contextlib.ExitStack() as stack:

        def start(url, variables):
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
            stack.enter_context(jitload.Session(cache_dir=tmp_path / "cache", remote=Address(url)))
            return jitload.Cache.default().remote

        yield start


@pytest.mark.parametrize("case", THERE)
def test_a_cloud_that_is_not_there_costs_a_deadline_and_tells_no_secret(case, open_cloud, tmp_path, caplog, capfd):
    url, variables = THERE[case]
    secrets = [SECRET]
    if case == "gs":
        key = subprocess.run([require("openssl"), "genrsa", "2048"], capture_output=True, text=True, check=True).stdout
        account = {"private_key": key, "private_key_id": SECRET, "client_email": "a@b.example", "gcs_base_url": LOCAL}
        (tmp_path / "key.json").write_text(json.dumps({**account, "disable_oauth": True}))
        variables = {"GOOGLE_SERVICE_ACCOUNT": str(tmp_path / "key.json")}
        secrets.append(key.split("\n")[1])
    begun = time.monotonic()
    remote = open_cloud(url, variables)
    assert remote.read(KEY)[1] in OUTAGES
    assert remote.read(KEY)[1] == "away"
    assert time.monotonic() - begun < OPERATION_SECONDS + SLACK_SECONDS
    said = f"{caplog.text}{remote.peek(KEY)}{remote.place}{''.join(capfd.readouterr())}"
    assert len(caplog.records) == 1, said
    assert not [secret for secret in secrets if secret in said]


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_client_refuses_is_said_once_without_what_is_secret(case, open_cloud, caplog):
    assert open_cloud(*REFUSED[case]) is None
    (record,) = caplog.records
    assert "is not used: " in record.message
    assert SECRET not in record.message
