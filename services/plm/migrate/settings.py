"""What the migration job is told from outside."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from plm.stores.postgres import PostgresSettings


class MigrateSettings(BaseSettings):
    """Environment PLM_*, nested by a double underscore. Postgres is named as its superuser sees it."""

    model_config = SettingsConfigDict(env_prefix="PLM_", env_nested_delimiter="__", frozen=True)

    postgres: PostgresSettings = PostgresSettings(user="postgres")
    ledger_password_file: Path
    migrations_directory: Path = Path("/app/migrations/postgres")
    wait_s: float = 120.0
    log_level: str = "info"

    def ledger_password(self) -> str:
        """The password that the role of the ledger service gets."""
        return self.ledger_password_file.read_text().strip()
