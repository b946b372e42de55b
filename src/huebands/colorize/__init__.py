"""From a model package and a photo to colours and bands."""
