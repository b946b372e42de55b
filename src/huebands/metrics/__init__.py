"""How near a colorization is to the truth, and how colourful it is."""
