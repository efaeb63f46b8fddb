"""A page on which one paints strokes on an image and watches the network learn: `python -m paint`."""
