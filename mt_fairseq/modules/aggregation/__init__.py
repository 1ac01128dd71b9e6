"""How uni-modal layers reach each cross-modal layer: the one place where the models differ."""
