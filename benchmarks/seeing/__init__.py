# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What seeing costs: an instance that is looked at beside one that is not, and how long an answer takes.

`make bench-seeing` runs it. A file for each part: ``cost`` is the processor time of puts and gets while a page, a
scraper and a trace look on; ``answers`` is how long the page and the commands take with many objects; ``instance``
starts what is measured, ``looking`` is who looks, ``work`` is who puts and gets, ``report`` writes the tables.
"""
