"""One module per subcommand: parse, call what does the work, print. Heavy imports happen inside the functions."""

import importlib
from typing import Protocol

import typer

# Order of `plm --help`. Each module has register(app).
_NAMES: tuple[str, ...] = (
    "up",
    "down",
    "status",
    "doctor",
    "tools",
    "images",
    "stack",
    "dev",
    "logs",
    "demo",
    "pay",
    "verify",
)


class _Command(Protocol):
    def register(self, app: typer.Typer) -> None: ...


def register_all(app: typer.Typer) -> None:
    """Add every subcommand to the tree."""
    for name in _NAMES:
        module: _Command = importlib.import_module(f"plmkit.commands.{name}")
        module.register(app)
