"""Which environment variables a Settings class reads, told from the class itself."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic_settings import BaseSettings


def environment_names(kind: type[BaseSettings]) -> set[str]:
    """Every name, nested ones included."""
    return {name for name, _ in _leaves(kind)}


def required_names(kind: type[BaseSettings]) -> set[str]:
    """Names of what has no default: without them the process does not start."""
    return {name for name, is_required in _leaves(kind) if is_required}


def _leaves(kind: type[BaseSettings]) -> Iterator[tuple[str, bool]]:
    prefix = str(kind.model_config.get("env_prefix") or "")
    between = str(kind.model_config.get("env_nested_delimiter") or "")
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            for each, of in inner.model_fields.items():
                is_required = field.is_required() and of.is_required()
                yield f"{prefix}{name}{between}{each}".upper(), is_required
        else:
            yield f"{prefix}{name}".upper(), field.is_required()


def paths_in(settings: BaseModel) -> list[Path]:
    """Every path that is set, nested ones included."""
    found: list[Path] = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Path):
            found.append(value)
        elif isinstance(value, BaseModel):
            found += paths_in(value)
    return found
