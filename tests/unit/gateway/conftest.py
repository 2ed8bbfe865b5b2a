"""One gateway over the demo mesh, for tests in which nobody has to wait."""

from pathlib import Path

import pytest_asyncio
from support.paper_gateway import PaperGateway, open_gateway


@pytest_asyncio.fixture
async def gateway(tmp_path: Path) -> PaperGateway:
    return await open_gateway(tmp_path)
