"""The URL of a remote, as a setting."""

import pytest

from jitload.errors import UsageValueError
from jitload.settings.address import remote_address


@pytest.mark.parametrize("url", ["file://shared/cache", "FILE://localhost/cache", "file://./cache", "file://~/cache"])
def test_a_directory_is_given_from_the_root(url):
    """Else it would be another one in every working directory."""
    with pytest.raises(UsageValueError, match="no absolute path; expected file:///DIRECTORY"):
        remote_address("remote", url)
    assert remote_address("remote", "file:///shared/cache").scheme == "file"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:2024?secret@127.0.0.1:1/0", "redis://127.0.0.1:1/0"),
        ("redis://secret?secret:x@127.0.0.1:1/0?prefix=p", "redis://127.0.0.1:1/0?prefix=p"),
        ("s3://secret?secret@bucket/x", "s3://bucket/x"),
        ("s3://bucket/x?endpoint=http://user:secret#secret@127.0.0.1:1", "s3://bucket/x"),
        ("s3://bucket/x?endpoint=http://127.0.0.1:1#secret", "s3://bucket/x?endpoint=http://127.0.0.1:1"),
        ("redis://127.0.0.1:1/0?password=a@secret&prefix=p", "redis://127.0.0.1:1/0?prefix=p"),
        ("redis://user:2024?secret=secret@127.0.0.1:1/0?prefix=p", "redis://..."),
        ("redis://user:2024?prefix=secret@127.0.0.1:1/0", "redis://..."),
        ("redis://user:2024?username=secret@127.0.0.1:1/0", "redis://..."),
        ("redis://user:2024/2024?prefix=secret@127.0.0.1:1/0?region=eu", "redis://..."),
        ("redis://user:a@2024/0?password=secret@127.0.0.1:1/0", "redis://..."),
        ("s3://secret?region=secret@bucket/x", "s3://..."),
        ("s3://secret?a=b&secret@bucket/x?region=eu", "s3://..."),
        ("https://host/x?token=a@secret", "https://..."),
        ("s3://bucket/x?endpoint=http://host?sig=secret", "s3://bucket/x?endpoint=http://host"),
        ("s3://bucket/x?region=eu;token=secret", "s3://bucket/x?region=eu"),
    ],
)
def test_no_part_of_what_is_secret_is_shown_whatever_is_in_it(url, shown):
    """A password that was not quoted may have what ends a host in URLs."""
    assert str(remote_address("remote", url)) == shown
