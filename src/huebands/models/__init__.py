"""The families of colorizers: networks, the objectives that they learn, and what both are made of."""
