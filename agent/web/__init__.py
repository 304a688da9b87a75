"""The HTTP side: health, status, API."""
