"""Random damages of raw files, and plain readers that say what a damaged folder still gives."""
