"""Which files are due: a pure comparison of what lies in the folder with what the database says it has."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

_NAME = re.compile(r"(\d{3})_[a-z0-9_]+\.sql", re.ASCII)


class BadMigrationsError(Exception):
    """The folder and the database do not fit together. The file that is named changed nothing."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, name and text."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text."""
        return sha256(self.sql.encode()).hexdigest()


def parse(files: Mapping[str, str]) -> list[Migration]:
    """Files by name into migrations in order, numbered 1, 2, 3 … without gap. Raises BadMigrationsError."""
    found = []
    for name, sql in sorted(files.items()):
        match = _NAME.fullmatch(name)
        if match is None:
            raise BadMigrationsError(f"{name}: a migration is named NNN_verb_noun.sql")
        found.append(Migration(int(match.group(1)), name, sql))
    numbers = [migration.number for migration in found]
    if numbers != list(range(1, len(found) + 1)):
        raise BadMigrationsError(
            f"numbers must run from 001 without gap or repeat, found {numbers}"
        )
    return found


def due(migrations: Sequence[Migration], applied: Mapping[int, str]) -> list[Migration]:
    """Migrations to run, in order. `applied`: number to checksum. Raises BadMigrationsError when history differs."""
    for migration in migrations:
        known = applied.get(migration.number)
        if known is not None and known != migration.checksum:
            raise BadMigrationsError(
                f"{migration.name} was changed after it was applied; restore it and add a new file"
            )
    unknown = sorted(set(applied) - {migration.number for migration in migrations})
    if unknown:
        raise BadMigrationsError(
            f"the database has migrations {unknown} that this build does not know"
        )
    rest = [migration for migration in migrations if migration.number not in applied]
    if rest and applied and rest[0].number < max(applied):
        raise BadMigrationsError(f"{rest[0].name} comes before migrations that are applied already")
    return rest
