"""Certificates are made once, by a kubeadm that the test wrote: whole or not at all, and private."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from plmkit.console import KitError
from plmkit.localcluster import certificates
from plmkit.localcluster.layout import Layout
from support.programs import put

USER = {
    "client-certificate-data": base64.b64encode(b"a certificate").decode(),
    "client-key-data": base64.b64encode(b"a key").decode(),
}
KUBECONFIG = yaml.safe_dump({"users": [{"name": "admin", "user": USER}]})
# Counts its calls and fails at the one that a file names; writes what the real one would.
KUBEADM = """
echo "$*" >> {folder}/asked
[ "$(wc -l < {folder}/asked)" = "$(cat {folder}/fail-at)" ] && {{ echo "no entropy" >&2; exit 1; }}
case "$*" in
  "init phase certs all"*) echo ca > {pki}/ca.crt ;;
  "init phase kubeconfig all"*)
    for name in admin super-admin kubelet; do cp {folder}/kubeconfig {into}/$name.conf; done ;;
  "kubeconfig user"*) cat {folder}/kubeconfig ;;
esac
"""
CALLS = 5


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "state")
    made.state.mkdir()
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    (tmp_path / "fail-at").write_text("never")
    script = KUBEADM.format(folder=tmp_path, pki=made.certificates, into=made.kubeconfigs)
    put(tmp_path / "tools", "kubeadm", script)
    return made


def tools(layout: Layout) -> Path:
    return layout.state.parent / "tools"


def private_files(layout: Layout) -> Iterator[Path]:
    yield from certificates.admin_files(layout)[1:]
    for component in ("kube-proxy", "plm-netpol", "plm-localpath"):
        yield layout.kubeconfig(component)


def test_a_full_set_has_a_kubeconfig_for_every_daemon_and_keys_only_root_reads(
    layout: Layout,
) -> None:
    assert not certificates.exist(layout)
    certificates.create(layout, tools(layout))
    assert certificates.exist(layout)
    assert {path.stat().st_mode & 0o777 for path in private_files(layout)} == {0o600}
    assert layout.kubeconfigs.stat().st_mode & 0o777 == 0o700
    _, certificate, key = certificates.admin_files(layout)
    assert (certificate.read_text(), key.read_text()) == ("a certificate", "a key")


@pytest.mark.parametrize("call", range(1, CALLS + 1))
def test_a_set_that_was_cut_off_does_not_count_and_is_made_anew(layout: Layout, call: int) -> None:
    folder = layout.state.parent
    (folder / "fail-at").write_text(str(call))
    with pytest.raises(KitError, match="no entropy") as failed:
        certificates.create(layout, tools(layout))
    assert failed.value.cure == "plm doctor; then plm up again", "no cure costs the ledger"
    assert not certificates.exist(layout)
    certificates.create(layout, tools(layout))
    assert certificates.exist(layout)
    assert len((folder / "asked").read_text().splitlines()) == call + CALLS


def test_a_kubeadm_that_hangs_is_told_of(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "_MADE_WITHIN_S", 0.2)
    put(tools(layout), "kubeadm", "exec sleep 60")
    with pytest.raises(KitError, match="kubeadm init phase has not ended within 0 s"):
        certificates.create(layout, tools(layout))
    assert not certificates.exist(layout)


def test_making_anew_leaves_nothing_of_the_set_before(layout: Layout) -> None:
    certificates.create(layout, tools(layout))
    (layout.certificates / "old.key").touch()
    certificates.create(layout, tools(layout))
    assert not (layout.certificates / "old.key").exists()


def test_people_get_a_private_kubeconfig_and_get_it_again(layout: Layout) -> None:
    certificates.create(layout, tools(layout))
    # As a command that was killed while it wrote would have left it, for all to read.
    layout.admin_kubeconfig.with_name("kubeconfig.new").write_text("half of o")
    for _ in range(2):
        certificates.publish_admin_kubeconfig(layout)
    assert layout.admin_kubeconfig.read_text() == KUBECONFIG
    assert layout.admin_kubeconfig.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in layout.state.iterdir()) == ["cluster", "kubeconfig"]
