"""Fills a database that has this example's base migrations with believable content.

Run: `python generate.py --url postgresql://… --size small` (or `--rows 2500`). The same seed and
number of rows give the same content, ids included. Nothing is deleted: run it on an empty project.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import psycopg

#: Artifacts, by the same volumes as in the other example.
SIZES = {"small": 500, "medium": 5_000, "large": 20_000}


def generate(url: str, rows: int, *, seed: int = 1) -> None:
    """Insert the content in one transaction.

    Args:
        url: where, as a Postgres URL; the role must own the example's tables.
        rows: how many artifacts; everything else follows from it.
        seed: another number gives other content.

    Raises:
        ValueError: `rows` is below 10.
        psycopg.errors.UniqueViolation: this content is there already.
    """
    if rows < 10:
        raise ValueError(f"rows must be at least 10, not {rows}")
    script = (Path(__file__).parent / "generate.sql").read_text(encoding="utf-8")
    # The client cursor puts the values in, because a script of several statements takes no parameters.
    with psycopg.connect(url, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(script.encode(), {"rows": rows, "seed": seed})


def main() -> None:
    """Read the command line and fill the database."""
    parser = argparse.ArgumentParser(description="Fill the media-gallery example with content.")
    parser.add_argument("--url", default=os.environ.get("DATABASE_URL"), help="Postgres URL; default: $DATABASE_URL")
    parser.add_argument("--size", choices=SIZES, default="small", help="how many artifacts (default: small)")
    parser.add_argument("--rows", type=int, help="artifacts, instead of --size")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not options.url:
        parser.error("give --url, or set DATABASE_URL")
    rows = SIZES[options.size] if options.rows is None else options.rows
    try:
        generate(options.url, rows, seed=options.seed)
    except psycopg.errors.UniqueViolation:
        parser.exit(1, "This content is there already; take another --seed or an empty database.\n")
    print(f"Generated {rows} artifacts.")


if __name__ == "__main__":
    main()
