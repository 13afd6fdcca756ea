"""The program `condetr`, also as `python -m condetr`: Ctrl-C ends it in one line, even while modules are imported."""

import sys


def main() -> None:
    """Import the command line and run it."""
    try:
        from .cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("condetr: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
