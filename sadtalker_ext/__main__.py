"""``python -m sadtalker_ext`` is the program ``sadtalker``."""

from sadtalker_ext.cli.main import entry_point

if __name__ == "__main__":
    entry_point()
