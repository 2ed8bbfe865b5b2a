"""Kernel settings of the machine: read before the start, put back on the way down, and only what has changed."""

import os
from pathlib import Path

import pytest
from plmkit.console import KitError
from plmkit.localcluster import kernel
from support.programs import put


@pytest.fixture
def sysctls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/proc/sys of a kernel that lacks one of the names."""
    folder = tmp_path / "sys"
    for name in kernel.CHANGED_BY_KUBELET[:-1]:
        path = folder / name.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("0\n")
    monkeypatch.setattr(kernel, "_SYSCTLS", folder)
    return folder


def test_what_is_read_is_put_back(sysctls: Path) -> None:
    before = kernel.read_settings()
    assert before == dict.fromkeys(kernel.CHANGED_BY_KUBELET[:-1], "0")
    (sysctls / "kernel" / "panic").write_text("10\n")
    (sysctls / "vm" / "overcommit_memory").write_text("1\n")
    kernel.restore_settings(before)
    assert kernel.read_settings() == before


def test_what_has_not_changed_is_not_written(sysctls: Path) -> None:
    """Some machines let nobody write some of them."""
    before = kernel.read_settings()
    panic = sysctls / "kernel" / "panic"
    os.utime(panic, ns=(0, 0))
    kernel.restore_settings(before)
    assert panic.stat().st_mtime_ns == 0


def test_a_name_that_this_kernel_lacks_by_now_is_left_out(sysctls: Path) -> None:
    kernel.restore_settings({"vm.panic_on_oom": "1", "kernel.panic": "7"})
    assert kernel.read_settings()["kernel.panic"] == "7"
    assert not (sysctls / "vm" / "panic_on_oom").exists()


def test_what_the_kernel_refuses_is_named_after_all_else_was_put_back(sysctls: Path) -> None:
    refusing = sysctls / "kernel" / "panic"
    refusing.unlink()
    # One that not even root may write.
    refusing.symlink_to("/proc/sys/kernel/osrelease")
    with pytest.raises(KitError, match=r"does not take back kernel\.panic \(") as refused:
        kernel.restore_settings({"kernel.panic": "7", "vm.overcommit_memory": "2"})
    assert refused.value.cure == "sysctl -w kernel.panic=7"
    assert kernel.read_settings()["vm.overcommit_memory"] == "2"


def test_modules_are_loaded_where_there_is_a_loader_and_nobody_minds_one_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    kernel.load_modules()
    put(tmp_path, "modprobe", f'echo "$*" > {tmp_path / "asked"}; exit 1')
    kernel.load_modules()
    assert (tmp_path / "asked").read_text() == "-qa overlay br_netfilter nf_conntrack veth\n"
