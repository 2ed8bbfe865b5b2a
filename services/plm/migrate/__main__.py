"""`python -m plm.migrate`: run as a job before the services; again without effect."""

import asyncio
import sys

import structlog

from plm.domain.errors import Unavailable
from plm.migrate.plan import BadMigrationsError
from plm.migrate.runner import migrate
from plm.migrate.settings import MigrateSettings
from plm.telemetry import logging

log = structlog.get_logger(__name__)


def main() -> int:
    """Exit code 0 when the database is up to date, 1 when it cannot be brought there."""
    settings = MigrateSettings()
    logging.configure("migrate", settings.log_level)
    try:
        ran = asyncio.run(migrate(settings))
    except (BadMigrationsError, Unavailable) as error:
        log.error("Stopped migrating", reason=str(error))  # noqa: TRY400 - the reason says it, the trace adds nothing
        return 1
    log.info("Finished migrating", applied=ran)
    return 0


if __name__ == "__main__":
    sys.exit(main())
