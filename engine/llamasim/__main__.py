"""`python -m llamasim`."""

from llamasim.cli import main

if __name__ == "__main__":
    main()
