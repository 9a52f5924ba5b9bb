"""The ``countersign`` command. Each subcommand imports what it needs when it runs, so that ``--help``
and the supervisor start at once."""

from service.cli.commands import app


def main() -> None:
    """The entry point."""
    app()
