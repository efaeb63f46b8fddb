"""Images and masks as people have them: what each kind of file comes to, and which are refused."""

import sys
import zlib

import cv2
import numpy as np
import pytest

from common.errors import UserError
from common.images import write_png
from own.images import images_in, in_8_bits, in_channels, read_image, read_mask, write_strokes

COLOUR = np.random.default_rng(0).integers(0, 256, (40, 50, 3), "uint8")
CIRCLE = cv2.circle(np.zeros((40, 50), "uint8"), (25, 20), 9, 1, cv2.FILLED)
INSTANCES = CIRCLE * 3 + cv2.circle(np.zeros((40, 50), "uint8"), (5, 5), 3, 200, cv2.FILLED)
SOFT = cv2.GaussianBlur(CIRCLE * 255, (0, 0), 1.0)
THREE = np.full((40, 50), 128, "uint8")
THREE[:5], THREE[-5:] = 0, 255


def saved(path, image, options=()):
    """Write an image, red first, as OpenCV writes a file of that name; returns the path."""
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[2] > 1:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    assert cv2.imwrite(str(path), image, list(options))
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp", ".PNG"])
def test_colour_stays_colour_and_grey_is_one_channel(tmp_path, suffix):
    path = tmp_path / f"täst 1 {suffix}"
    assert np.array_equal(read_image(saved(path, COLOUR)), COLOUR)
    grey = COLOUR[..., :1]
    for image in (grey, np.repeat(grey, 3, axis=2)):  # many cameras write three equal channels
        assert np.array_equal(read_image(saved(path, image)), grey)


def test_a_jpeg_is_read_as_its_camera_was_held(tmp_path):
    upright = cv2.GaussianBlur(COLOUR, (0, 0), 5)
    path = saved(tmp_path / "photo.jpg", upright)
    assert np.abs(read_image(path).astype(int) - upright).mean() < 3
    entry = b"\x12\x01\x03\x00\x01\x00\x00\x00\x06"  # orientation, of which 6 is a quarter turn
    header = b"\xff\xe1\x00\x22Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00" + entry + bytes(7)
    content = path.read_bytes()
    path.write_bytes(content[:2] + header + content[2:])
    assert np.abs(read_image(path).astype(int) - np.rot90(upright, -1)).mean() < 3


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_come_to_the_same_range(tmp_path, suffix):
    path = saved(tmp_path / f"deep{suffix}", COLOUR.astype("uint16") * 257)
    assert np.allclose(read_image(path), COLOUR, atol=1e-4)
    path = saved(tmp_path / f"deep{suffix}", np.full((40, 50), 1000, "uint16"))
    assert np.allclose(read_image(path), 1000 / 257)  # finer than 8 bits


def test_transparency_of_an_image_is_left_out(tmp_path):
    image = np.dstack([COLOUR, CIRCLE * 255])
    assert np.array_equal(read_image(saved(tmp_path / "image.png", image)), COLOUR)


def test_channels_are_made_equal():
    grey = in_channels(COLOUR, 1)
    assert np.abs(grey[..., 0] - cv2.cvtColor(COLOUR, cv2.COLOR_RGB2GRAY)).max() < 0.6
    assert in_channels(grey, 3).shape == (40, 50, 3)
    assert (in_channels(grey, 3) == grey).all()


def test_sixteen_bits_are_seen_in_the_range_that_they_use():
    image = np.linspace(3, 5, 2000).reshape(40, 50, 1).astype("float32")
    assert np.ptp(in_8_bits(image).astype(int)) > 250
    assert np.array_equal(in_8_bits(COLOUR), COLOUR)


@pytest.mark.parametrize(("image", "foreground"), [
    (CIRCLE, CIRCLE), (CIRCLE * 255, CIRCLE), (CIRCLE.astype("uint16") * 65535, CIRCLE),
    (CIRCLE * 128, CIRCLE), (CIRCLE * 100 + 50, CIRCLE), (INSTANCES, INSTANCES > 0),
    (INSTANCES.astype("uint16") * 300, INSTANCES > 0),
    (np.dstack([CIRCLE * 0, CIRCLE * 0, CIRCLE]), CIRCLE),
    (np.dstack([CIRCLE * 200, CIRCLE * 9, CIRCLE * 77, CIRCLE * 0 + 255]), CIRCLE),
    (SOFT, SOFT >= 128),
], ids=["0 1", "0 255", "16 bits", "0 128", "50 150", "instances", "16-bit instances", "blue",
        "opaque", "soft edges"])
def test_a_mask_has_two_values_or_labels_of_instances(tmp_path, image, foreground):
    read, labelled = read_mask(saved(tmp_path / "mask.png", image))
    assert np.array_equal(read[..., 0], foreground > 0)
    assert labelled.all()
    assert read.shape == labelled.shape == (40, 50, 1)


@pytest.mark.parametrize("labels", [(100, 250), (250, 100, 30), (255, 76)])
def test_bright_labels_of_instances_are_all_foreground_and_no_soft_edges(tmp_path, labels):
    image = np.zeros((40, 60), "uint8")
    for number, label in enumerate(labels):
        image[5:35, 5 + 18 * number : 20 + 18 * number] = label
    read, _ = read_mask(saved(tmp_path / "mask.png", image))
    assert np.array_equal(read[..., 0], image > 0)


def test_a_mask_says_nothing_where_it_is_grey_or_transparent(tmp_path):
    strokes = np.zeros((40, 50, 4), "uint8")
    strokes[:5] = 90, 20, 0, 255
    strokes[-5:] = 250, 240, 100, 255
    strokes[6] = 255, 255, 255, 100  # the soft edge of a stroke
    of_127 = np.where(THREE == 128, 127, THREE)
    of_16_bits = np.array([0, 32768, 65535], "uint16")[THREE // 127]
    for image in (strokes, THREE, of_127, THREE.astype("uint16") * 257, of_16_bits):
        foreground, labelled = read_mask(saved(tmp_path / "mask.png", image))
        rows = np.flatnonzero(labelled.all(axis=(1, 2)))
        assert list(rows) == [0, 1, 2, 3, 4, 35, 36, 37, 38, 39]
        assert labelled.sum() == 500
        assert np.array_equal(foreground[labelled], np.repeat([False, True], 250))
    _, labelled = read_mask(saved(tmp_path / "mask.png", np.full((40, 50), 128, "uint8")))
    assert not labelled.any()


def test_what_is_no_mask_is_refused(tmp_path):
    nearly = THREE.copy()
    nearly[20, 20] = 77
    for image, message in ((COLOUR, "changes from pixel to pixel, as a photograph does"),
                           (nearly, "holds 0, 128 for unlabelled, and 255, but a few other")):
        with pytest.raises(UserError, match=rf"mask\.png {message}"):
            read_mask(saved(tmp_path / "mask.png", image))
    with pytest.raises(UserError, match=r"mask\.jpg is a JPEG, which smears the values of a mask"):
        read_mask(saved(tmp_path / "mask.jpg", CIRCLE * 255, (cv2.IMWRITE_JPEG_QUALITY, 80)))
    halves = np.zeros((32, 64), "uint8")
    halves[:, 32:] = 255  # at the edge of JPEG's blocks nothing smears
    assert read_mask(saved(tmp_path / "mask.jpg", halves))[0].sum() == 1024


def test_strokes_on_a_reduced_picture_are_masks_of_the_image(tmp_path):
    image = saved(tmp_path / "large.png", np.zeros((300, 400), "uint8"))
    yellow, blue = (240, 228, 66, 255), (0, 114, 178, 255)
    strokes, folder = np.zeros((75, 100, 4), "uint8"), tmp_path / "strokes"
    strokes[10:20, 5:30], strokes[40:50, 60:90] = yellow, blue
    folder.mkdir()
    (folder / "old.png").write_bytes(b"of before")
    assert write_strokes({image: strokes}, folder) == {str(image): str(folder / "large.png")}
    foreground, labelled = read_mask(folder / "large.png")
    for pixels, rows, columns in ((foreground & labelled, slice(40, 80), slice(20, 120)),
                                  (~foreground & labelled, slice(160, 200), slice(240, 360))):
        assert pixels[rows, columns].all()
        assert pixels.sum() == pixels[rows, columns].sum()
    assert [path.name for path in folder.iterdir()] == ["large.png"]


def test_images_are_listed_by_their_numbers_and_impossible_names_refused(tmp_path):
    for name in ("b10.png", "b9.PNG", "1²2.jpg", "A.tif", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_text("")
    names = [path.name for path in images_in(tmp_path, "--folder")]
    assert names == ["1²2.jpg", "A.tif", "b9.PNG", "b10.png"]
    (tmp_path / "bad\udcff.png").write_text("")
    with pytest.raises(UserError, match=r"holds 'bad\\udcff\.png', which is no name in UTF-8"):
        images_in(tmp_path, "--folder")


def test_files_that_cannot_be_used_are_refused_by_name_without_a_word_of_the_decoder(
        tmp_path, capfd):
    png = saved(tmp_path / "whole.png", COLOUR).read_bytes()
    jpeg = saved(tmp_path / "whole.jpg", COLOUR).read_bytes()
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(png[: len(png) // 2])
    (tmp_path / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (tmp_path / "folder.png").mkdir()
    saved(tmp_path / "float.tif", np.ones((40, 50), "float32"))
    cv2.imwritemulti(str(tmp_path / "pages.tif"), [COLOUR, COLOUR])
    saved(tmp_path / "small.png", np.zeros((31, 50), "uint8"))
    saved(tmp_path / "large.png", np.zeros((40, 8193), "uint8"))
    for name, message in (
        ("text.png", "is not an image that OpenCV can read, is damaged, or is larger than 8192"),
        ("empty.png", "is not an image"), ("cut.png", "is not an image"),
        ("cut.jpg", "is not an image"), ("folder.png", "cannot be read"),
        ("missing.png", r"cannot be read \(No such file or directory\); check its name"),
        ("float.tif", "holds numbers of the kind float32; save it with 8 or 16 bits"),
        ("pages.tif", "holds 2 pages; save each as a file of its own"),
        ("small.png", "has 31 x 50 pixels, which is too small; give images of at least 32"),
        ("large.png", "has 40 x 8193 pixels, which is too large; cut it into parts of at most"),
    ):
        for read in (read_image, read_mask):
            with pytest.raises(UserError, match=rf"/{name} {message}"):
                read(tmp_path / name)
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the memory so")
def test_what_a_header_claims_gets_no_memory(tmp_path):
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for suffix, start, order in ((".png", 16, "big"), (".bmp", 18, "little")):
        claim = 2 * (20_000).to_bytes(4, order)  # width and height; OpenCV's own limit is larger
        path = saved(tmp_path / f"large{suffix}", COLOUR)
        content = path.read_bytes()
        content = content[:start] + claim + content[start + 8 :]
        if suffix == ".png":  # the header has a checksum
            content = content[:29] + zlib.crc32(content[12:29]).to_bytes(4, "big") + content[33:]
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"large\.\w+ is not an image that OpenCV can read"):
            read_image(path)
    content = saved(tmp_path / "part.png", COLOUR).read_bytes()
    (tmp_path / "part.png").write_bytes(content[:33] + b"\x7f\xff\xff\x00" + content[37:])
    with pytest.raises(UserError, match=r"part\.png is not an image that OpenCV can read"):
        read_image(tmp_path / "part.png")
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert more < 200_000  # KiB; macOS counts in bytes


def test_what_is_written_is_read_back_exactly(tmp_path):
    grey = np.arange(1600).reshape(40, 40, 1) % 256
    write_png(tmp_path / "new" / "folder" / "grey.png", grey)
    assert np.array_equal(read_image(tmp_path / "new" / "folder" / "grey.png"), grey)
    write_png(tmp_path / "colour.png", COLOUR[..., ::-1])  # OpenCV has blue first
    assert np.array_equal(read_image(tmp_path / "colour.png"), COLOUR)
