"""Which requests are taken, and when."""
