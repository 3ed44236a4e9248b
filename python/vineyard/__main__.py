# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""``python -m vineyard``: vineyardd."""

from vineyard.programs import exec_program


def main() -> None:
    exec_program("vineyardd")


if __name__ == "__main__":
    main()
