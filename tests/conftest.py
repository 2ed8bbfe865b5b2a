"""What holds for every test."""

import signal


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start: a shell that runs us in its background has it ignored, and that is inherited."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
