"""Writes the results page and the front page's numbers, or says what of them is stale."""

import sys

from benchmarks.report.pages import main

sys.exit(main())
