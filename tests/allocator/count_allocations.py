# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A pytest plug-in: says at the end how many arrays came from the store."""


def pytest_terminal_summary(terminalreporter):
    from vineyard import allocating

    memory = allocating.enabled_allocator()
    if memory is None:
        terminalreporter.write_line("allocator: none")
    else:
        terminalreporter.write_line(
            f"allocator: {memory.allocations} arrays from the store, {memory.reused} of them warm, "
            f"{memory.declined} declined"
        )
