# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Vineyard beside what else a user could pick: real systems, in turn, in one run.

`python -m side_by_side --help` (with ``benchmarks`` on ``PYTHONPATH``) says what it does; where to look:

=================  ==========================================================================
``peers/``         one file for each system: how it is started, how a value is put and got
``rows/``          one file for each family of rows: what is measured
``ways/``          what compares not systems, but ways to use one: numpy's work, a pipeline
``steps.py``       the timed loops, run in worker processes; ``tasks.py``: those of numpy's work
``session.py``     a system that is up: its server and its workers
``measuring.py``   the order of all this: families, rounds, systems
``result.py``      statistics, and the JSON
=================  ==========================================================================
"""
