"""Image bytes in, uint8 sRGB out, and back."""
