"""Forms that keep less for the backward pass, on every device, by gradients of their own."""
