"""``python -m preventable``."""

from preventable.cli.main import main

if __name__ == "__main__":
    main()
