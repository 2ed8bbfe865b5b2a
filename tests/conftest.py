"""What holds for every test."""

import signal


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start: in the background of a shell it is ignored, and that is inherited."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
