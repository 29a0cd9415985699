"""Made films of an entrance: people walk in, stand and leave, and what each of them wears is known."""
