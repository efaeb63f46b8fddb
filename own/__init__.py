"""Label one image of your own, and the rest is segmented: `python -m own`."""
