"""What can stand before the name of an image is a registry; a URL is none."""

import pytest
from plmkit import registries
from plmkit.console import ExitCode, KitError


@pytest.mark.parametrize(
    "name",
    [
        "registry.example.com/plm",
        "registry.example.com/plm/",
        "registry.example.com:5443/team_a/plm--x.y",
        "198.51.100.1:5443",
        "[2001:db8::1]:5000/plm",
        "localhost:5000/plm",
    ],
)
def test_a_host_and_a_path_are_one(name: str) -> None:
    registries.check(name)


@pytest.mark.parametrize(
    "name",
    [
        "https://registry.example.com/plm",
        "docker://registry.example.com/plm",
        "registry.example.com/Plm",
        "registry.example.com/plm x",
        "registry.example.com//plm",
        "registry.example.com/plm:latest",
        "registry.example.com/plm\n",
        "/plm",
        " ",
    ],
)
def test_what_no_reference_can_begin_with_is_refused(name: str) -> None:
    with pytest.raises(KitError, match="is no registry") as refused:
        registries.check(name)
    assert refused.value.exit_code == ExitCode.WRONG_USAGE
