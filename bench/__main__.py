"""`python -m bench [name…] [--json]`: side-by-side timings against named peers.

Exit code 1 when a ratio falls short, when a race is too noisy to judge, and when anything was not measured.
"""

import argparse
import importlib
import json
import sys

from bench.harness import ROOT, Report, table, write_results

# Name to module, in the order in which `make bench` runs them. Each has `run() -> Report`.
BENCHES = {"router": "bench.router", "ledger": "bench.ledger", "payments": "bench.payments"}


def main() -> int:
    """Run the named benches, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], metavar="name")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments = parser.parse_args()
    # The throwaway servers of the tests serve here too.
    sys.path.append(str(ROOT / "tests"))
    exit_code = 0
    for name in arguments.names or BENCHES:
        report: Report = importlib.import_module(BENCHES[name]).run()
        path = write_results(report)
        print(json.dumps(json.loads(path.read_text())) if arguments.json else table(report) + "\n")
        exit_code = max(exit_code, report.exit_code)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
