"""Pure: one view of a deploy that CLI, HTTP and chat render."""
