"""What is built from which folder of toolchain/, and what on PATH would do instead. The go.mod files pin it."""

from dataclasses import dataclass

_STRIP = "-s -w"


@dataclass(frozen=True)
class Substitute:
    """A program on PATH that may stand in: how it tells its version, and which versions fit."""

    arguments: tuple[str, ...]
    pattern: str  # its first group is the version
    fits: str  # a regular expression for the whole version
    wanted: str  # for people


@dataclass(frozen=True)
class Program:
    """One binary of a family."""

    name: str
    package: str
    substitute: Substitute | None = None


@dataclass(frozen=True)
class Family:
    """Programs that one go.mod pins: built by one `go build`, which compiles what they share once."""

    name: str
    programs: tuple[Program, ...]
    version: str
    tags: str = ""
    link_flags: str = _STRIP


@dataclass(frozen=True)
class Extra:
    """A file that a family's binary wants beside it, taken from a module."""

    family: str
    pinned_by: str  # the folder of toolchain/ whose go.mod says which version of the module
    module: str
    version: str  # for the content key
    path: str


_KUBERNETES = "v1.36.3"
_PULUMI = "v3.259.0"
PROVIDER_VERSION = "4.25.0"

_KUBECTL = Substitute(
    ("version", "--client", "--output=json"),
    r'"gitVersion": "v([0-9.]+)',
    r"1\.3[567]\..*",
    "1.35 to 1.37",
)
_PULUMI_CLI = Substitute(("version",), r"v([0-9.]+)", r"3\.259\..*", "3.259")
_HELM = Substitute(
    ("version", "--short"), r"v([0-9.]+)", r"3\.(1[4-9]|[2-9][0-9])\..*", "3.14 and newer 3.x"
)


def _kubernetes(name: str, substitute: Substitute | None = None) -> Program:
    return Program(name, f"k8s.io/kubernetes/cmd/{name}", substitute)


FAMILIES: tuple[Family, ...] = (
    Family(
        "kubernetes",
        (
            _kubernetes("kube-apiserver"),
            _kubernetes("kube-controller-manager"),
            _kubernetes("kube-scheduler"),
            _kubernetes("kubelet"),
            _kubernetes("kube-proxy"),
            _kubernetes("kubeadm"),
            _kubernetes("kubectl", _KUBECTL),
            Program("plm-netpol", "./netpol"),
            Program("plm-localpath", "./localpath"),
            Program("plm-pause", "./pause"),
        ),
        _KUBERNETES,
        tags="selinux,notest,grpcnotrace",
        link_flags=(
            f"{_STRIP} -X k8s.io/component-base/version.gitVersion={_KUBERNETES}"
            f" -X k8s.io/client-go/pkg/version.gitVersion={_KUBERNETES}"
        ),
    ),
    Family("etcd", (Program("etcd", "go.etcd.io/etcd/server/v3"),), "v3.6.14"),
    Family("coredns", (Program("coredns", "."),), "v1.14.7"),
    Family("nats", (Program("nats-server", "github.com/nats-io/nats-server/v2"),), "v2.14.5"),
    Family("caddy", (Program("caddy", "."),), "v2.11.4"),
    Family(
        "pulumi",
        (Program("pulumi", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", _PULUMI_CLI),),
        _PULUMI,
        tags="osusergo,grpcnotrace",
        link_flags=f"{_STRIP} -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={_PULUMI}",
    ),
    Family(
        "pulumi-language-python",
        (
            Program(
                "pulumi-language-python",
                "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",
            ),
        ),
        "v3.79.0",
    ),
    Family(
        "pulumi-kubernetes",
        (Program("pulumi-resource-kubernetes", "."),),
        f"v{PROVIDER_VERSION}",
        link_flags=(
            f"{_STRIP} -X github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version={PROVIDER_VERSION}"
        ),
    ),
    Family("helm", (Program("helm", "helm.sh/helm/v3/cmd/helm", _HELM),), "v3.21.4"),
)

# The language host starts the program through this script; its own module is older than the Pulumi that it serves.
LANGUAGE_EXEC = Extra(
    family="pulumi-language-python",
    pinned_by="pulumi",
    module="github.com/pulumi/pulumi/sdk/v3",
    version=_PULUMI,
    path="python/cmd/pulumi-language-python-exec",
)

# Debian packages: of the cluster, of image building, and the servers that tests of stores start on the host.
PACKAGES: tuple[str, ...] = (
    "buildah",
    "ca-certificates",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "iproute2",
    "iptables",
    "kmod",
    "mmdebstrap",
    "nftables",
    "runc",
    "skopeo",
)
TEST_PACKAGES: tuple[str, ...] = ("postgresql-15",)
