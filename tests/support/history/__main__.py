"""Judge journals: `python -m tests.support.history JOURNAL...` prints the verdict; exit code 1 when INVALID."""

import argparse
import sys
from pathlib import Path

from tests.support.history.checker import Law, check
from tests.support.history.journal import read


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.history", description=__doc__)
    parser.add_argument("journals", nargs="+", type=Path)
    parser.add_argument("--limit", default="25/5", help="calls/seconds that the upstream admits (25/5)")
    parser.add_argument("--duplicates", type=int, help="callbacks too many that are still allowed (any number)")
    options = parser.parse_args()
    calls, _, window_s = options.limit.partition("/")
    verdict = check(read(options.journals), Law(int(calls), float(window_s), options.duplicates))
    sys.stdout.write(f"{verdict}\n")
    return 0 if verdict.valid else 1


if __name__ == "__main__":
    sys.exit(main())
