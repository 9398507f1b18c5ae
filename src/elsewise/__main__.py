"""Run the command line: ``python -m elsewise``."""

from elsewise.cli import main

if __name__ == "__main__":
    main()
