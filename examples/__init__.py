"""Recipes and the demonstration; run from the root of the checkout, never installed."""
