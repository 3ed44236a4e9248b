# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""``python -m vineyard.ctl``: vineyardctl."""

from vineyard.programs import exec_program


def main() -> None:
    exec_program("vineyardctl")


if __name__ == "__main__":
    main()
