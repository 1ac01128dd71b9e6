"""fairseq tasks, one file a task."""
