"""What a recipe needs on given hardware: batches, updates, memory and time, before it starts."""
