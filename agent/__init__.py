"""supabase-deploy-agent: backs up, migrates, verifies and, when it must, restores a Supabase database."""

__version__ = "0.1.0"
