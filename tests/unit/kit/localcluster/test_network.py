"""The network's commands as data: `ip`, `nsenter` and the rest are scripts that write down what they were asked."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from plmkit.console import ExitCode, KitError
from plmkit.localcluster import network
from plmkit.localcluster.layout import FENCED_RANGES
from support.programs import put

PROGRAMS = ("ip", "nsenter")
# Writes down its arguments and its input; refuses what `refused` names; answers from files.
SCRIPT = """
name=${{0##*/}}
echo "$name $*" >> {folder}/asked
while read -r line; do echo "$name < $line" >> {folder}/asked; done
read -r refused < {folder}/refused || true
case "$name $*" in "$refused") echo "RTNETLINK answers: no" >&2; exit 2 ;; esac
case "$*" in
  "link show plmh") test -e {folder}/link ;;
  *"route show root 10.244.0.0/16") while read -r line; do echo "$line"; done < {folder}/routes ;;
esac
"""


@dataclass(frozen=True)
class Machine:
    """What the scripts were asked, and what they are to answer."""

    folder: Path
    namespace: Path

    @property
    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def refuse(self, command: str) -> None:
        (self.folder / "refused").write_text(f"{command}\n")

    def has(self, *, namespace: bool = False, link: bool = False, routes: str = "[]") -> None:
        if namespace:
            self.namespace.touch()
        if link:
            (self.folder / "link").touch()
        (self.folder / "routes").write_text(f"{routes}\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Nothing but our scripts is on PATH: no real network can be touched."""
    for name in PROGRAMS:
        put(tmp_path / "programs", name, SCRIPT.format(folder=tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    made = Machine(tmp_path, tmp_path / "plmnode")
    monkeypatch.setattr(network, "NAMESPACE_FILE", made.namespace)
    made.refuse("")
    made.has()
    return made


def position(asked: list[str], holds: Callable[[str], bool]) -> int:
    return next(number for number, line in enumerate(asked) if holds(line))


def changes(asked: list[str]) -> list[str]:
    return [line for line in asked if " show" not in line]


def test_the_host_gets_one_link_and_one_fence_per_range(machine: Machine) -> None:
    network.up()
    removals = len(FENCED_RANGES)  # of what a half-made network would have left
    on_host = [line for line in changes(machine.asked) if line.startswith("ip ")][removals:]
    assert on_host == [
        "ip netns add plmnode",
        *(f"ip route add blackhole {fence} metric 4096" for fence in FENCED_RANGES),
        "ip link add plmh type veth peer name eth0 netns plmnode",
        "ip addr add 198.51.100.1/30 dev plmh",
        "ip link set plmh up",
        "ip -n plmnode -batch -",
        "ip < link set lo up",
        "ip < addr add 198.51.100.2/30 dev eth0",
        "ip < link set eth0 up",
        "ip < link add dum0 type veth peer name dum1",
        "ip < link set dum0 up",
        "ip < link set dum1 up",
        "ip < route add default dev dum0 src 198.51.100.2 metric 2048",
    ]


def test_nothing_leaves_by_the_default_route(machine: Machine) -> None:
    network.up()
    enter = f"nsenter --net={machine.namespace} --"
    inside = [line.removeprefix(enter).strip() for line in machine.asked if line.startswith(enter)]
    assert inside[-1] == "iptables -w -t mangle -A POSTROUTING -o dum0 -j DROP"
    [settings] = [line for line in inside if line.startswith("sysctl -qw ")]
    assert "net.ipv4.ip_forward=1" in settings
    assert "net.bridge.bridge-nf-call-iptables=1" in settings, "pods would pass by the policies"
    # -e: a kernel without IPv6 lacks the keys.
    [without] = [line for line in inside if line.startswith("sysctl -qew ")]
    assert "net.ipv6.conf.all.disable_ipv6=1" in without


def test_fences_stand_before_there_is_a_link_to_leak_from(machine: Machine) -> None:
    network.up()
    fence = position(machine.asked, lambda line: line.startswith("ip route add blackhole"))
    assert fence < position(machine.asked, lambda line: line.startswith("ip link add"))


def test_the_namespace_is_never_entered_by_ip_itself(machine: Machine) -> None:
    """It would remount /sys."""
    network.up()
    assert [line for line in machine.asked if "netns exec" in line] == []
    assert network.inside(["id", "-u"])[0] == "nsenter"


def test_a_half_made_network_is_removed_before_a_new_one_is_made(machine: Machine) -> None:
    machine.has(namespace=True, link=True)
    network.up()
    made = machine.asked.index("ip netns add plmnode")
    assert machine.asked.index("ip netns del plmnode") < made
    assert machine.asked.index("ip link del plmh") < made


def test_down_asks_for_nothing_but_removals_and_minds_nothing_that_is_gone(
    machine: Machine,
) -> None:
    machine.has(namespace=True, link=True)
    machine.refuse("ip link del plmh")  # the kernel was faster
    network.down()
    assert changes(machine.asked) == [
        "ip netns del plmnode",
        "ip link del plmh",
        *(f"ip route del blackhole {fence} metric 4096" for fence in FENCED_RANGES),
    ]


def test_on_a_machine_without_ip_there_is_nothing_to_remove(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(machine.folder / "empty"))
    network.down()
    with pytest.raises(KitError, match="ip is missing") as refused:
        network.up()
    assert refused.value.cure == "plm tools"
    assert refused.value.exit_code is ExitCode.UNFIT_ENVIRONMENT


def test_a_program_that_hangs_is_told_of_whatever_it_was_asked(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not taken for a link that is not there."""
    monkeypatch.setattr(network, "_WITHIN_S", 0.2)
    monkeypatch.setenv("PATH", f"{machine.folder / 'programs'}:/usr/bin:/bin")
    put(machine.folder / "programs", "ip", "exec sleep 60")
    for ask in (network.down, network.foreign_routes):
        with pytest.raises(KitError, match=r"ip .* has not ended within 0 s") as hung:
            ask()
        assert hung.value.cure == "plm doctor"


def test_a_machine_that_routes_our_addresses_elsewhere_is_left_alone(machine: Machine) -> None:
    machine.has(
        routes='[{"dst": "10.244.3.0/24", "dev": "flannel.1"},'
        ' {"dst": "10.244.0.0/16", "dev": "plmh"}, {"type": "blackhole", "dst": "10.244.0.0/16"}]'
    )
    assert network.foreign_routes() == ["10.244.3.0/24 dev flannel.1"]
    with pytest.raises(KitError, match=r"10\.244\.3\.0/24 dev flannel\.1") as refused:
        network.up()
    assert "--context" in refused.value.cure
    assert [line for line in machine.asked if " add " in line] == []


@pytest.mark.parametrize(
    "step", ["ip netns add plmnode", "ip -n plmnode -batch -", "ip addr add*", "nsenter*"]
)
def test_a_step_that_fails_stops_the_rest_and_is_quoted(machine: Machine, step: str) -> None:
    (machine.folder / "refused").write_text("")
    script = SCRIPT.replace('"$refused")', f"{step.replace(' ', chr(92) + ' ')})")
    for name in PROGRAMS:
        put(machine.folder / "programs", name, script.format(folder=machine.folder))
    with pytest.raises(KitError, match="RTNETLINK answers: no"):
        network.up()
    made = [line for line in changes(machine.asked) if " < " not in line]
    assert made[-1].startswith(step.removesuffix("*"))


def test_it_is_up_when_namespace_and_link_are_there(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not network.is_up()
    machine.has(namespace=True, link=True)
    assert not network.is_up(), "a plain file: the namespace was never mounted on it"
    monkeypatch.setattr(network, "namespace_identity", lambda _file: 7)
    assert network.is_up()
    (machine.folder / "link").unlink()
    assert not network.is_up()


def test_namespaces_are_told_apart_by_what_the_kernel_calls_them(tmp_path: Path) -> None:
    own = Path("/proc/self/ns/net")
    assert network.namespace_identity(own) == own.stat().st_ino
    assert network.namespace_identity(Path(f"/proc/{os.getpid()}/ns/net")) == own.stat().st_ino
    half_made = tmp_path / "half-made"
    half_made.touch()
    assert network.namespace_identity(half_made) == 0
    assert network.namespace_identity(tmp_path / "nothing") == 0
