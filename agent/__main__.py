"""`python -m agent` and the `deploy-agent` script."""

from agent.cli.app import main

if __name__ == "__main__":
    main()
