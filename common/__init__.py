"""What the scripts share. Nothing here imports train.py, test.py, model.py or data.py."""

import os

LARGEST_SIDE = 8192  # pixels of an image; larger ones are not tested
# A header that claims more pixels gets no memory. OpenCV reads this once, when it is imported.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(LARGEST_SIDE**2))

# Where stdin, stdout or stderr is closed, no file that is opened later may get its number.
while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
    os.set_inheritable(number, True)
os.close(number)
