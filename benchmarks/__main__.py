"""All benchmarks: `python -m benchmarks`."""

from __future__ import annotations

import sys

from benchmarks import apply

if __name__ == "__main__":
    sys.exit(apply.main())
