"""Label one image of your own, and the rest is segmented: `python -m own`."""

import common  # noqa: F401 - it tells OpenCV the largest image, before that is imported
