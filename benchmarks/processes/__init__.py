"""What a benchmark runs in a process of its own, to see its time to start or its memory."""
