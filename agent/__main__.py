"""`python -m agent` and the `deploy-agent` script."""

from agent.pid1 import leave_pid1


def main() -> None:
    """The entry point. A container's first process stays behind as its parent, so nothing is imported before that."""
    leave_pid1()
    from agent.cli.app import main as run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()
