"""`python -m fantascope`."""

from fantascope.cli import main

if __name__ == "__main__":
    main()
