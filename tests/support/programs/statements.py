"""Statements of a test, as a program that comes from a warm process.

python -m tests.support.programs.statements STATEMENTS ARGUMENTS
"""

import sys

if __name__ == "__main__":
    del sys.argv[0]
    exec(sys.argv[0])  # noqa: S102 - a test's own
