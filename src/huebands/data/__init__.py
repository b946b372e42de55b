"""Where photos come from, and how they become the prepared dataset."""
