"""Bundles in a registry of images, Debian's docker-registry: what comes back is what went in, or an error."""

from __future__ import annotations

import base64
import json
import pathlib
import socket

import pytest

from jitload import Bundle, BundleError, TrustError
from jitload.bundles import registry as registry_room
from jitload.bundles.oci import MANIFEST_TYPE, MEDIA_TYPE, Reference, pull_bundle, push_bundle
from jitload.bundles.registry import Credentials, Registry, read_credentials
from jitload.digest import sha256_hex
from jitload.errors import UsageValueError
from tests.bundles.registry import HTPASSWD, PASSWORD, USER, running, serving, token_service

pytestmark = pytest.mark.network

SECRET = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with running(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A registry that wants a name and password."""
    directory = tmp_path_factory.mktemp("guarded")
    (directory / "htpasswd").write_text(HTPASSWD)
    with running(directory, {"htpasswd": {"realm": "kernels", "path": str(directory / "htpasswd")}}) as host:
        yield host


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    """A registry that wants tokens, the service that gives them, and what that was asked."""
    directory = tmp_path_factory.mktemp("tokens")
    handler, root = token_service(directory / "service")
    with serving(handler) as (service, seen):
        auth = {
            "realm": f"http://{service}/token",
            "service": "kernels",
            "issuer": "tokens",
            "rootcertbundle": str(root),
        }
        with running(directory, {"token": auth}) as host:
            yield host, service, seen


@pytest.fixture(autouse=True)
def docker(tmp_path, monkeypatch):
    """`docker({...})` writes the container tools' file."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    (tmp_path / "docker").mkdir()

    def write(config) -> pathlib.Path:
        path = tmp_path / "docker/config.json"
        path.write_text(config if isinstance(config, str) else json.dumps(config))
        return path

    return write


def test_what_is_pushed_comes_back(host, unsigned, tmp_path):
    pinned = push_bundle(unsigned, f"oci://{host}/team/kernels:1.4")
    assert pinned.startswith(f"oci://{host}/team/kernels:1.4@sha256:")
    for number, reference in enumerate((pinned, f"oci://{host}/team/kernels:1.4", pinned.replace(":1.4@", "@"))):
        assert pull_bundle(reference, tmp_path / f"{number}.jlb").endswith(pinned.rpartition("@")[2])
        assert (tmp_path / f"{number}.jlb").read_bytes() == pathlib.Path(unsigned).read_bytes()
    Bundle.open(tmp_path / "0.jlb", "unsigned").verify()


def test_pushing_again_is_the_same_image_and_the_tag_can_move(host, unsigned, signed, tmp_path):
    first = push_bundle(unsigned, f"oci://{host}/moving")
    assert push_bundle(unsigned, f"oci://{host}/moving:latest") == first
    second = push_bundle(signed, f"oci://{host}/moving:latest")
    assert second != first
    pull_bundle(first, tmp_path / "first.jlb")
    pull_bundle(f"oci://{host}/moving", tmp_path / "latest.jlb")
    assert (tmp_path / "first.jlb").read_bytes() == pathlib.Path(unsigned).read_bytes()
    assert (tmp_path / "latest.jlb").read_bytes() == pathlib.Path(signed).read_bytes()


def test_the_image_is_one_layer_of_our_type(host, unsigned):
    push_bundle(unsigned, f"oci://{host}/shape:1")
    manifest = json.loads(Registry(host, "shape", "none").manifest("1", MANIFEST_TYPE))
    data = pathlib.Path(unsigned).read_bytes()
    assert (manifest["schemaVersion"], manifest["mediaType"], manifest["artifactType"]) == (
        2,
        MANIFEST_TYPE,
        MEDIA_TYPE,
    )
    assert manifest["config"] == {
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "mediaType": "application/vnd.oci.empty.v1+json",
        "size": 2,
    }
    assert manifest["layers"] == [
        {
            "annotations": {"org.opencontainers.image.title": pathlib.Path(unsigned).name},
            "digest": f"sha256:{sha256_hex(data)}",
            "mediaType": MEDIA_TYPE,
            "size": len(data),
        }
    ]


def test_trust_is_asked_before_the_file_is_written(host, unsigned, signed, keys, tmp_path):
    for name, path in (("unsigned", unsigned), ("signed", signed)):
        push_bundle(path, f"oci://{host}/trust:{name}")
    with pytest.raises(TrustError):
        pull_bundle(f"oci://{host}/trust:unsigned", tmp_path / "k.jlb", trust=[keys["ci"][1]])
    assert not (tmp_path / "k.jlb").exists()
    pull_bundle(f"oci://{host}/trust:signed", tmp_path / "k.jlb", trust=[keys["ci"][1]])


@pytest.mark.parametrize("what", ["tag", "digest", "repository"])
def test_what_is_not_there_is_an_error(host, unsigned, tmp_path, what):
    pinned = push_bundle(unsigned, f"oci://{host}/there:1")
    missing = {
        "tag": f"oci://{host}/there:2",
        "digest": f"{pinned[:-64]}{'0' * 64}",
        "repository": f"oci://{host}/nowhere:1",
    }[what]
    with pytest.raises(OSError, match=r"GET http://127.*the registry answers 404 \((MANIFEST|NAME)_UNKNOWN\)"):
        pull_bundle(missing, tmp_path / "k.jlb")
    assert list(tmp_path.glob("k.jlb*")) == []


def test_what_is_no_bundle_is_not_pushed(host, tmp_path):
    (tmp_path / "x.jlb").write_bytes(b"JLBUNDLE, not really")
    with pytest.raises(BundleError):
        push_bundle(tmp_path / "x.jlb", f"oci://{host}/x")
    with pytest.raises(UsageValueError, match="names a digest"):
        push_bundle(tmp_path / "x.jlb", f"oci://{host}/x@sha256:{'0' * 64}")


# --- credentials


def test_a_name_and_password_of_the_container_tools(guarded, unsigned, tmp_path, docker):
    docker({"auths": {guarded: {"auth": SECRET}, "other.example": {"auth": "b3RoZXI6b3RoZXI="}}})
    pinned = push_bundle(unsigned, f"oci://{guarded}/k:1")
    pull_bundle(pinned, tmp_path / "k.jlb")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (None, "there is no "),
        ({}, "has none for 127.0.0.1:"),
        ({"auths": {"other.example": {"auth": SECRET}}}, "has none for 127.0.0.1:"),
        ({"credsStore": "desktop"}, "docker-credential-desktop, and credential helpers are not supported"),
        ({"credHelpers": {"HOST": "ecr-login"}}, "docker-credential-ecr-login, and credential helpers are not"),
        ({"auths": {"HOST": {"identitytoken": "hush-hush"}}}, "has an identity token for 127.0.0.1"),
    ],
)
def test_without_credentials_the_error_says_where_they_were_looked_for(guarded, unsigned, docker, config, says):
    if config is not None:
        docker(json.dumps(config).replace("HOST", guarded))
    with pytest.raises(OSError, match=says) as refused:
        push_bundle(unsigned, f"oci://{guarded}/k:1")
    assert "hush" not in str(refused.value)
    assert SECRET not in str(refused.value)


def test_wrong_credentials_are_told_without_being_shown(guarded, unsigned, docker):
    wrong = base64.b64encode(b"ci:hush-hush").decode()
    path = docker({"auths": {f"https://{guarded}/v2/": {"auth": wrong}}})
    with pytest.raises(OSError, match=r"answers 401, with the credentials of ") as refused:
        push_bundle(unsigned, f"oci://{guarded}/k:1")
    assert str(path) in str(refused.value)
    assert wrong not in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"auths": []}', '{"auths": {"HOST": {"auth": "no base64 hush"}}}', '{"auths": {"HOST": 3}}']
)
def test_a_file_that_is_damaged_is_an_error_that_shows_nothing_of_it(tmp_path, docker, text):
    path = docker(text.replace("HOST", "r.example"))
    try:
        found = read_credentials(str(path), "r.example")
    except BundleError as error:
        assert "hush" not in str(error)  # noqa: PT017 - an object without credentials is none
    else:
        assert not found.basic


@pytest.mark.parametrize("name", ["r.example", "https://r.example", "https://r.example/v1/", "r.example/team"])
def test_the_names_of_registries_in_that_file(docker, name):
    path = docker({"auths": {name: {"auth": SECRET}}})
    assert read_credentials(str(path), "r.example").basic == f"Basic {SECRET}"
    assert read_credentials(str(path), "r.example.evil").basic == ""
    assert Credentials().why_none == ""


def test_tokens_are_asked_for_where_the_registry_says(tokens, unsigned, tmp_path, docker):
    host, _, seen = tokens
    docker({"auths": {host: {"auth": SECRET}}})
    seen.clear()
    pinned = push_bundle(unsigned, f"oci://{host}/team/k:1")
    pull_bundle(pinned, tmp_path / "k.jlb")
    assert {headers["Authorization"] for *_, headers in seen} == {f"Basic {SECRET}"}
    assert len(seen) == 3, "one for looking and one for writing, and one for the other connection"
    docker({})
    with pytest.raises(OSError, match=r"GET http://127\S+/token: the registry answers 401 \(.*has none for"):
        pull_bundle(pinned, tmp_path / "k.jlb")


# --- what other hosts get


def image(data: bytes, **changes) -> tuple[bytes, str]:
    layer = {"mediaType": MEDIA_TYPE, "digest": f"sha256:{sha256_hex(data)}", "size": len(data), **changes}
    manifest = json.dumps({"schemaVersion": 2, "layers": [layer]}).encode()
    return manifest, layer["digest"]


def registry_of(manifest: bytes, blob):
    """A handler that wants a name and password, and gives this image."""

    def handler(method, path, headers):
        if headers.get("Authorization") != f"Basic {SECRET}":
            return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
        return (200, {}, manifest) if "/manifests/" in path else blob(path)

    return handler


def test_credentials_do_not_follow_a_redirect(unsigned, tmp_path, docker):
    data = pathlib.Path(unsigned).read_bytes()
    with serving(lambda *_: (200, {}, data)) as (elsewhere, seen):
        away = registry_of(
            image(data)[0], lambda _: (307, {"Location": f"http://{elsewhere}/blob?signature=hush"}, b"")
        )
        with serving(away) as (host, _):
            docker({"auths": {host: {"auth": SECRET}}})
            pull_bundle(f"oci://{host}/k", tmp_path / "k.jlb")
    assert (tmp_path / "k.jlb").read_bytes() == data
    ((method, path, headers),) = seen
    assert (method, path) == ("GET", "/blob?signature=hush")
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((403, {}, b"hush"), "the registry answers 403"),
        ((307, {"Location": "file:///etc/passwd"}, b""), "is not asked"),
        ((307, {"Location": "http://192.0.2.1/x?signature=hush"}, b""), "http://192.0.2.1/x is not asked: only https"),
        ((307, {"Location": "/again?signature=hush"}, b""), "redirected too often|answers"),
        ((307, {}, b""), "redirected too often"),
        ((200, {}, b"x"), "1 bytes came that are not the"),
        ((200, {"Content-Length": "9999999"}, b"x"), "IncompleteRead|bytes came that are not the"),
    ],
)
def test_an_answer_that_is_no_blob_is_an_error_that_shows_no_secret(
    unsigned, tmp_path, docker, monkeypatch, answer, says
):
    monkeypatch.setattr(registry_room, "TIMEOUT_SECONDS", 1.0)
    data = pathlib.Path(unsigned).read_bytes()
    with serving(registry_of(image(data)[0], lambda _: answer)) as (host, _):
        docker({"auths": {host: {"auth": SECRET}}})
        registry = f"oci://{host}/k"
        with pytest.raises((OSError, BundleError), match=says) as refused:
            pull_bundle(registry, tmp_path / "k.jlb")
    assert "hush" not in str(refused.value)
    assert SECRET not in str(refused.value)
    assert list(tmp_path.glob("*.jlb")) == []


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (b"{", "is no image with one layer"),
        (b"[" * 50_000, "is no image with one layer"),
        (b'{"layers": []}', "is no image with one layer"),
        (image(b"x", mediaType="application/x")[0], "is no image with one layer"),
        (image(b"x", digest="sha512:00")[0], "is no image with one layer"),
        (image(b"x", digest="sha256:../../x")[0], "is no image with one layer"),
        (image(b"x", size="1")[0], "is no image with one layer"),
        (image(b"x", size=1 << 40)[0], "are the most"),
        (image(b"x", size=-1)[0], "are the most"),
        (image(b"x")[0], "not a bundle|bundle"),
    ],
)
def test_an_image_that_is_no_bundle_is_an_error(tmp_path, docker, manifest, says):
    with serving(registry_of(manifest, lambda _: (200, {}, b"x"))) as (host, _):
        docker({"auths": {host: {"auth": SECRET}}})
        with pytest.raises(BundleError, match=says):
            pull_bundle(f"oci://{host}/k", tmp_path / "k.jlb")
    assert list(tmp_path.glob("*.jlb")) == []


def test_bytes_that_are_not_what_the_digests_say_are_not_written(unsigned, tmp_path, docker):
    data = pathlib.Path(unsigned).read_bytes()
    manifest, _ = image(data)
    with serving(registry_of(manifest, lambda _: (200, {}, flipped(data)))) as (host, _):
        docker({"auths": {host: {"auth": SECRET}}})
        with pytest.raises(BundleError, match="bytes came that are not"):
            pull_bundle(f"oci://{host}/k", tmp_path / "k.jlb")
        with pytest.raises(BundleError, match="the manifest that came has the digest"):
            pull_bundle(f"oci://{host}/k@sha256:{sha256_hex(flipped(manifest))}", tmp_path / "k.jlb")
    assert list(tmp_path.glob("*.jlb")) == []


def test_a_registry_elsewhere_is_asked_by_https(unsigned):
    with pytest.raises(OSError, match=r"HEAD https://192\.0\.2\.1:1/v2/k/blobs/sha256:"):
        _with_short_time(lambda: push_bundle(unsigned, "oci://192.0.2.1:1/k"))
    with pytest.raises(OSError, match=r"HEAD http://192\.0\.2\.1:1/v2/k/blobs/sha256:"):
        _with_short_time(lambda: push_bundle(unsigned, "oci://192.0.2.1:1/k", plain_http=True))


def _with_short_time(call):
    before, registry_room.TIMEOUT_SECONDS = registry_room.TIMEOUT_SECONDS, 0.2
    try:
        call()
    finally:
        registry_room.TIMEOUT_SECONDS = before


def test_a_registry_that_keeps_silent_is_an_error(unsigned, monkeypatch):
    monkeypatch.setattr(registry_room, "TIMEOUT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(OSError, match="timed out"):
            push_bundle(unsigned, f"oci://{host}/k")


@pytest.mark.parametrize(
    "text",
    [
        "registry.example/k:1", "docker://r/k", "oci://", "oci://r", "oci://r/", "oci://r/K", "oci://r/k:", "oci://r/k@sha256:00",
        "oci://r/../k", "oci://user:password@r/k", "oci://r/k:a b", "oci://r/k:1\n", "oci://r/k?x=1", "oci://r:x/k", "oci://r//k",
    ],
)  # fmt: skip
def test_what_is_no_reference(text):
    with pytest.raises(UsageValueError, match="is no reference: write oci://"):
        Reference.parse(text)


def test_references():
    digest = f"sha256:{'ab' * 32}"
    assert Reference.parse("oci://r.example/k") == Reference("r.example", "k", "latest", "")
    assert Reference.parse("oci://[::1]:5000/a/b-c__d:1.4_x") == Reference("[::1]:5000", "a/b-c__d", "1.4_x", "")
    assert Reference.parse(f"oci://r/k:1@{digest}") == Reference("r", "k", "1", digest)
    assert Reference.parse(f"oci://r/k@{digest}").pinned(digest) == f"oci://r/k@{digest}"
