"""Which of two models is better, and what follows from it: champions of the registry, and released packages."""
