# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""For all Python tests of the project."""

import signal

# A shell that starts them in the background has them ignore Ctrl-C, and so would the programs under
# test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
