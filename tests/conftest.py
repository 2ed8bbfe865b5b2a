"""What holds for every test."""

import signal
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings


def pytest_configure() -> None:
    """Properties are not judged by how long an example takes, and Ctrl-C reaches what tests start."""
    # On a machine that does something else beside, one in thousands takes long.
    quiet = [HealthCheck.too_slow]
    settings.register_profile("any machine", settings(), deadline=None, suppress_health_check=quiet)
    settings.load_profile("any machine")
    # In the background of a shell it is ignored, and that is inherited.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a figure where the person who runs the tests sees it, also when all is green."""
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    capture = request.config.pluginmanager.get_plugin("capturemanager")

    def write(text: str) -> None:
        if reporter is not None and capture is not None:
            with capture.global_and_fixture_disabled():
                reporter.write_line(f"\n{text}")

    return write
