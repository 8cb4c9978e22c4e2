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
