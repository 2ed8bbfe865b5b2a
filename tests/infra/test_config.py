"""The stack's configuration: each key is declared once, read once, and nothing else is let in."""

import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from plminfra import config
from plminfra.config import IMAGES, SECRETS, StackConfig, keys_of, secrets_of, unknown_keys
from plmkit.images import recipes
from plmkit.stack import secrets as stack_secrets
from support import charts, program
from support.postgres import ROOT

# Set by `plm up` and `plm stack init`, never by hand: they have no default.
MADE = {"images", "secrets"}
# Read by `plm images`, not by the program.
OF_THE_KIT = {"registry"}
SECRET = {"secrets"}
EVERY_SECRET = frozenset(SECRETS)


class PaperConfig(pulumi.Config):
    """Configuration from a mapping, which remembers what was asked for and how."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__("plm")
        self.values = dict(values)
        self.asked: dict[str, str] = {}

    def _find(self, key: str, how: str) -> Any:
        self.asked[key] = how
        if key not in self.values:
            raise pulumi.ConfigMissingError(self.full_key(key), key in SECRET)
        return self.values[key]

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.asked[key] = "string"
        found: str | None = self.values.get(key, default)
        return found

    def require(self, key: str) -> str:
        return str(self._find(key, "string"))

    def require_int(self, key: str) -> int:
        return int(self._find(key, "integer"))

    def require_bool(self, key: str) -> bool:
        return bool(self._find(key, "boolean"))

    def require_object(self, key: str) -> Any:
        return self._find(key, "array" if key not in MADE else "object")

    def require_secret_object(self, key: str) -> Any:
        return self._find(key, "secret")


def values(**given: Any) -> dict[str, Any]:
    """Everything that a stack has."""
    defaults = {name: each["default"] for name, each in program.declared().items()}
    return {**defaults, "images": program.IMAGES, "secrets": program.SECRETS, **given}


def load(given: Mapping[str, Any], secrets: frozenset[str] = EVERY_SECRET) -> StackConfig:
    keys = frozenset(f"plm:{name}" for name in given)
    return StackConfig.load(PaperConfig(given), keys, secrets)


def test_every_declared_key_is_read_as_what_it_is_declared_and_no_other_is_read() -> None:
    asking = PaperConfig(values())
    StackConfig.load(asking, frozenset(), EVERY_SECRET)
    declared = {name: each["type"] for name, each in program.declared().items()}
    read = {name: how for name, how in asking.asked.items() if name not in MADE}
    assert read == {name: typ for name, typ in declared.items() if name not in OF_THE_KIT}
    assert asking.asked["secrets"] == "secret"
    assert set(asking.asked) >= MADE


def test_known_keys_are_the_declared_ones_and_those_that_the_kit_makes() -> None:
    every = frozenset(f"plm:{name}" for name in {*program.declared(), *MADE})
    assert unknown_keys(every) == set()
    for name in every:
        assert f"{name}x" in unknown_keys(frozenset({f"{name}x"}))
    assert every == {f"plm:{name}" for name in config._PLAIN}


def test_every_declared_key_has_a_description_and_a_default_of_its_type() -> None:
    kinds: dict[str, type] = {"string": str, "integer": int, "boolean": bool, "array": list}
    for name, each in program.declared().items():
        assert each["description"].endswith("."), name
        assert type(each["default"]) is kinds[each["type"]], name


@given(st.text(min_size=1))
def test_a_key_that_nobody_reads_is_refused_and_named(name: str) -> None:
    if name in config._PLAIN:
        return
    with pytest.raises(ValueError, match="unknown configuration") as caught:
        StackConfig.load(PaperConfig(values()), frozenset({f"plm:{name}"}), EVERY_SECRET)
    assert f"plm:{name}" in str(caught.value)


@given(st.text(), st.text())
def test_keys_of_providers_are_theirs(namespace: str, name: str) -> None:
    if namespace != "plm":
        assert unknown_keys(frozenset({f"{namespace}:{name}"})) == set()


def test_the_committed_stacks_have_known_keys_only() -> None:
    stacks = sorted((ROOT / "infra" / "stacks").glob("*.yaml"))
    assert [path.stem for path in stacks] == ["tiny"]
    for path in stacks:
        plain = yaml.safe_load(path.read_text())
        assert unknown_keys(frozenset(plain)) == set()
        assert plain["plm:profile"] == path.stem
        assert not any(f"plm:{name}" in plain for name in MADE), (
            "secrets and images are not committed"
        )


def test_keys_are_those_that_pulumi_hands_over() -> None:
    assert keys_of({"PULUMI_CONFIG": '{"plm:profile": "tiny", "kubernetes:context": "x"}'}) == {
        "plm:profile",
        "kubernetes:context",
    }
    assert keys_of({}) == keys_of({"PULUMI_CONFIG": ""}) == frozenset()


@pytest.mark.parametrize("name", IMAGES)
def test_a_missing_image_is_refused_with_the_cure(name: str) -> None:
    images = {other: text for other, text in program.IMAGES.items() if other != name}
    with pytest.raises(ValueError, match=f"plm:images lacks {name}: plm up builds"):
        load(values(images=images))


@pytest.mark.parametrize(
    "loose", ["caddy", "caddy:2", "caddy@sha256:12", f"caddy@sha256:{'0' * 64}:2", None]
)
def test_an_image_that_is_not_named_by_its_digest_is_refused(loose: str | None) -> None:
    with pytest.raises(ValueError, match="plm:images names caddy without a digest"):
        load(values(images={**program.IMAGES, "caddy": loose}))


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("imagePullPolicy", "Sometimes", "plm:imagePullPolicy is 'Sometimes'; known are Always, "),
        ("imagePullPolicy", "never", "plm:imagePullPolicy is 'never'"),
        ("entropy", "loud", "plm:entropy is 'loud'; known are raw, normalised"),
        ("edgeNodePort", 8443, "plm:edgeNodePort is 8443; take one from 30000 to 32767"),
        ("edgeNodePort", 32768, "plm:edgeNodePort is 32768"),
        ("edgeNodePort", 29999, "plm:edgeNodePort is 29999"),
    ],
)
def test_a_value_that_kubernetes_or_a_chart_would_refuse_later_is_refused_now(
    key: str, value: str | int, problem: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        load(values(**{key: value}))


def test_what_the_stack_takes_the_charts_take_too() -> None:
    for chart in ("plm-services", "plm-operator"):
        properties = charts.schema(chart)["properties"]
        assert set(properties["imagePullPolicy"]["enum"]) == set(config.PULL_POLICIES)
    assert set(charts.schema("plm-services")["properties"]["entropy"]["enum"]) == set(
        config.ENTROPIES
    )
    for policy in config.PULL_POLICIES:
        assert load(values(imagePullPolicy=policy)).image_pull_policy == policy
    for port in (30000, 32767):
        assert load(values(edgeNodePort=port)).edge_node_port == port


@pytest.mark.parametrize("name", [*sorted(program.declared().keys() - OF_THE_KIT), *sorted(MADE)])
def test_a_key_without_a_value_is_named(name: str) -> None:
    """Defaults stand in Pulumi.yaml and nowhere else; only an empty text may be missing altogether."""
    given = values()
    del given[name]
    if program.declared().get(name, {}).get("default") == "":
        assert load(given) == load(values())
        return
    with pytest.raises(pulumi.ConfigMissingError, match=name):
        load(given)


def test_only_secrets_that_exist_are_asked_for() -> None:
    with pytest.raises(ValueError, match="superuser is none of caCertificate"):
        load(values()).secret("superuser")
    with pytest.raises(ValueError, match="registryLogin is none of"):
        load(values()).secret(config.REGISTRY_LOGIN)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_the_stack_lacks_is_named_with_what_to_type(name: str) -> None:
    with pytest.raises(ValueError, match=f"plm:secrets lacks {name}: .* `pulumi config set"):
        load(values(), EVERY_SECRET - {name})


def test_an_empty_secret_is_none() -> None:
    """As a password it would let in anybody."""
    secrets = json.dumps({"ledger": "", "caKey": "x", "apiKeysFile": None})
    assert secrets_of({"PULUMI_CONFIG": json.dumps({"plm:secrets": secrets})}) == {"caKey"}
    assert secrets_of({"PULUMI_CONFIG": "{}"}) == secrets_of({}) == frozenset()


def test_the_images_are_the_ones_that_the_kit_builds_for_pods() -> None:
    published = {each.name for each in recipes.RECIPES if each.is_published}
    assert set(IMAGES) == published == set(program.IMAGES)


def test_the_secrets_are_the_ones_that_the_kit_makes() -> None:
    made = stack_secrets.make(dt.datetime(2026, 1, 1, tzinfo=dt.UTC)).values
    assert set(SECRETS) == set(made) == set(program.SECRETS)
