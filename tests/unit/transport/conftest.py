"""A node that listens, and everything one needs to call it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.echo_node import GATEWAY_NAMES, NODE_NAMES, Listening, Mounted, listening
from support.leaves import Authority, new_authority


@pytest.fixture(scope="session")
def authority() -> Authority:
    return new_authority()


@pytest.fixture
def node_tls(tmp_path: Path, authority: Authority) -> Mounted:
    mounted = Mounted(tmp_path / "node")
    mounted.issue(authority, NODE_NAMES)
    return mounted


@pytest.fixture
def gateway_tls(tmp_path: Path, authority: Authority) -> Mounted:
    mounted = Mounted(tmp_path / "gateway")
    mounted.issue(authority, GATEWAY_NAMES)
    return mounted


@pytest_asyncio.fixture
async def node(node_tls: Mounted) -> AsyncIterator[Listening]:
    async with listening(node_tls.tls) as server:
        yield server
