"""`python -m vivae` and the `vivae` command."""

import sys

from vivae.app.cli import app
from vivae.app.console import run


def main() -> None:
    sys.exit(run(app))


if __name__ == "__main__":
    main()
