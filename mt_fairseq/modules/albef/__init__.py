"""ALBEF's own parts (Li et al., NeurIPS 2021): a BERT that fuses in its upper half."""
