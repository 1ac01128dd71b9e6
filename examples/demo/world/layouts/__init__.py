"""Writers of official raw layouts, one module a dataset."""
