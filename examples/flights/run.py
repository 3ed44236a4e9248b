# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Run the flights pipeline over vineyard and over pickle files, and compare.

Every step is a process of its own. What the steps hand to each other is the same in every run, and
so, bit by bit, are the model and its error.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness.comparison import ORDER, Comparison, NoRoomError
from harness.data import flights_csv
from harness.instance import REPOSITORY, InstanceError
from harness.picture import draw
from harness.pipeline import StepFailedError
from harness.report import table
from harness.sizes import parse_count
from harness.step import fail
from transports import TRANSPORTS

EXAMPLE = "example: run.py --rows 2M --transports vineyard,shm_pickle"


def parse_arguments() -> argparse.Namespace:
    """Read the command line; what it says wrong ends the program with a line and status 2."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE)
    parser.add_argument(
        "--rows",
        default=os.environ.get("ROWS") or None,
        metavar="N",
        help="flights, such as 500k or 1.5M; default: the environment's ROWS, or as many as make "
        "up 2 GB to hand over or a twelfth of the memory, whichever is less",
    )
    parser.add_argument(
        "--transports",
        default=",".join(ORDER),
        metavar="NAMES",
        help="which to run, with commas between (default: %(default)s)",
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=1,
        metavar="N",
        help="runs of each transport; what is reported is that with the median hand-over",
    )
    parser.add_argument("--vineyardd", metavar="FILE", help="the server; default: the one built")
    parser.add_argument(
        "--reserve",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="have the server take all its memory before the pipeline starts (default: yes)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=REPOSITORY / "build" / "demo",
        metavar="DIR",
        help="where results go (default: build/demo)",
    )
    parser.add_argument(
        "--disk",
        type=Path,
        metavar="DIR",
        help="where files on disk go (default: that of --output)",
    )
    args = parser.parse_args()
    args.transports = [name.strip() for name in args.transports.split(",")]
    for name in args.transports:
        if name not in TRANSPORTS:
            parser.error(f"no transport {name!r}: there are {', '.join(TRANSPORTS)}")
    if args.repeats < 1:
        parser.error(f"--repeats: {args.repeats} is less than 1")
    if args.rows is not None:
        try:
            args.rows = parse_count(args.rows)
        except ValueError as error:
            parser.error(f"--rows: {error}")
    return args


def check_packages() -> None:
    """Raise FileNotFoundError if anything is missing that would be missed only later."""
    for module, package in (("sklearn", "scikit-learn"), ("matplotlib", "matplotlib")):
        if importlib.util.find_spec(module) is None:
            raise FileNotFoundError(f"{package} is missing: pip install {package}")
    flights_csv()


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Run the comparison, and write what it found to the output directory and to stdout."""
    check_packages()
    args.output.mkdir(parents=True, exist_ok=True)
    args.disk = args.disk or args.output
    with ExitStack() as stack:
        result = Comparison(args, stack).run()
    target = args.output / "result.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))
    for path in (target, *draw(result, args.output)):
        print(f"wrote {os.path.relpath(path)}")
    return result


def main() -> None:
    args = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        result = compare(args)
    except KeyboardInterrupt:
        fail("run: interrupted; what it had started has ended", status=130)
    except (InstanceError, StepFailedError, NoRoomError, OSError) as error:
        fail(f"run: {error}")
    if result["differences"]:
        fail(f"run: not the same every way: {'; '.join(result['differences'][:3])}")


if __name__ == "__main__":
    main()
