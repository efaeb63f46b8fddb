"""Images and masks as people have them: what each kind of file comes to, and which are refused."""

import io
import sys
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from common.errors import UserError
from common.images import write_png
from own.images import images_and_others_in, images_in, in_8_bits, in_channels, read_image
from own.images import read_mask, read_mask_with_meaning, write_strokes

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


def noted(path, image, orientation):
    """Write an image, red first, with an orientation tag; returns the path."""
    if path.suffix == ".tif":
        kind = "rgb" if image.ndim == 3 else "minisblack"
        tag = (274, "H", 1, orientation, True)
        tifffile.imwrite(path, image, photometric=kind, extratags=[tag])
        return path
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(image).save(path, exif=exif, lossless=True, quality=98)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
def test_images_and_masks_are_turned_as_their_own_tags_say(tmp_path, suffix):
    """As the table of EXIF has it: by orientation, where row 0 and column 0 of a file are seen."""
    image = cv2.GaussianBlur(COLOUR, (0, 0), 5)
    mask = np.zeros((40, 50), "uint8")
    mask[:16, :32] = 255  # at the edge of JPEG's blocks nothing smears
    upright = {1: image, 2: image[:, ::-1], 3: image[::-1, ::-1], 4: image[::-1],
               5: image.swapaxes(0, 1), 6: np.rot90(image, -1),
               7: np.rot90(image, 2).swapaxes(0, 1), 8: np.rot90(image)}
    corners = {1: "top left", 2: "top right", 3: "bottom right", 4: "bottom left",
               5: "left top", 6: "right top", 7: "right bottom", 8: "left bottom"}
    for orientation, seen in upright.items():
        read = read_image(noted(tmp_path / f"image{suffix}", image, orientation))
        assert read.shape == seen.shape
        assert np.abs(read.astype(int) - seen).mean() < 3
        foreground, _ = read_mask(noted(tmp_path / f"mask{suffix}", mask, orientation))
        rows, columns, _ = np.nonzero(foreground)
        assert foreground.sum() == 16 * 32
        where = {"top": rows.min() == 0, "left": columns.min() == 0}
        where["bottom"], where["right"] = not where["top"], not where["left"]
        assert all(where[name] for name in corners[orientation].split())


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


def discs(*radii, size=200):
    """A black square with white discs of these radii, which do not touch."""
    image = np.zeros((size, size), "uint8")
    for number, radius in enumerate(radii):
        cv2.circle(image, (60 + 80 * number, 60 + 60 * number), radius, 255, cv2.FILLED)
    return image


SQUARE = np.zeros((160, 160), "uint8")
SQUARE[50:99, 60:109] = 255


@pytest.mark.parametrize(("white", "sigma"), [
    (discs(20, 34), 4), (SQUARE, 8), (discs(34), 20), (discs(8, 20), 0.7), (discs(3, 3), 2),
    (discs(60) // 4, 30),  # rounding leaves areas of several pixels along the edge
])
def test_soft_edges_are_cut_in_the_middle_however_wide_they_are(tmp_path, white, sigma):
    soft = cv2.GaussianBlur(white.astype("float32"), (0, 0), sigma)
    in_8, in_16 = soft.round().astype("uint8"), (soft * 257).round().astype("uint16")
    for image in (in_8, in_16, in_8.astype("uint16") * 257):
        foreground, labelled = read_mask(saved(tmp_path / "mask.png", image))
        assert np.array_equal(foreground[..., 0], image > image.max() / 2)
        assert labelled.all()


def objects(kind):
    """A map of labels, int32 (240, 240), 0 between the objects."""
    generator, image = np.random.default_rng(1), np.zeros((240, 240), "int32")
    if kind == "spots of 2 x 2":
        for label in range(1, 251):
            row, column = 14 * ((label - 1) // 16) + 3, 14 * ((label - 1) % 16) + 3
            image[row : row + 2, column : column + 2] = label
    elif kind == "lines":
        for label in range(1, 41):
            ends = [tuple(map(int, end)) for end in generator.integers(0, 240, (2, 2))]
            cv2.line(image, *ends, label)
    elif kind.startswith("touching"):
        side = 2 if kind == "touching spots of 2 x 2" else 20
        blocks = np.arange(1, 101).reshape(10, 10).repeat(side, 0).repeat(side, 1)
        image[20 : 20 + 10 * side, 20 : 20 + 10 * side] = blocks
    else:  # cells around random middles, as a watershed leaves them, 70 of 90 beside each other
        middles, places = generator.integers(0, 240, (90, 2)), np.indices((240, 240))
        distance = sum((places[n][..., np.newaxis] - middles[:, n]) ** 2 for n in (0, 1))
        image[:] = distance.argmin(axis=2) - 20
        image[image < 0] = 0
    return image


@pytest.mark.parametrize("kind", [
    "spots of 2 x 2", "lines", "touching spots of 2 x 2", "touching blocks", "cells"])
def test_labels_of_objects_are_all_foreground_whatever_their_size_and_number(tmp_path, kind):
    image = objects(kind)
    bright = np.where(image > 0, 255 - image % 200, 0).astype("uint8")
    many = (image.astype("int64") * 2999 % 3000 + image).astype("uint16")  # up to 3000
    for labels in (image.astype("uint8"), bright, image.astype("uint16"), many):
        foreground, labelled = read_mask(saved(tmp_path / "mask.png", labels))
        assert np.array_equal(foreground[..., 0], image > 0)
        assert labelled.all()


def test_what_is_clearly_neither_labels_nor_soft_edges_is_refused(tmp_path):
    small = objects("touching blocks").astype("uint8")
    for image in (cv2.resize(small, (600, 600), interpolation=cv2.INTER_LINEAR),
                  cv2.GaussianBlur(discs(40) // 2 + discs(0, 40) // 4 * 3, (0, 0), 1.5)):
        with pytest.raises(UserError, match="values, which are clearly neither labels nor soft"):
            read_mask(saved(tmp_path / "mask.png", image))


@pytest.mark.parametrize("kind", [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("photometric", ["miniswhite", "minisblack"])
def test_the_stored_values_of_a_tiff_count_whatever_their_kind(tmp_path, kind, photometric):
    path = tmp_path / "mask.tif"
    stored = CIRCLE if kind == "bool" else INSTANCES // 2
    tifffile.imwrite(path, stored.astype(kind), photometric=photometric)
    foreground, labelled, meaning = read_mask_with_meaning(path)
    assert np.array_equal(foreground[..., 0], stored > 0)
    assert labelled.all()
    assert ("white is 0; the stored values count" in meaning) == (photometric == "miniswhite")
    if kind in ("uint8", "uint16"):
        largest = np.iinfo(kind).max
        tifffile.imwrite(path, COLOUR[..., 0].astype(kind) * (largest // 255),
                         photometric=photometric)
        assert np.allclose(read_image(path), COLOUR[..., :1], atol=1e-4)


def test_numbers_below_zero_and_fractions_are_no_mask(tmp_path):
    for kind, message in (("int16", "holds values below 0, of which it is not known"),
                          ("float32", "holds numbers of the kind float32")):
        tifffile.imwrite(tmp_path / "mask.tif", CIRCLE.astype(kind) - 1)
        with pytest.raises(UserError, match=rf"mask\.tif {message}"):
            read_mask(tmp_path / "mask.tif")


def test_what_pascal_voc_calls_void_is_not_labelled(tmp_path):
    outline = cv2.dilate(CIRCLE, np.ones((7, 7))) - CIRCLE
    classes = CIRCLE.copy()
    classes[:, 25:] *= 2
    grey = np.where(outline, 255, classes).astype("uint8")
    palette = Image.fromarray(grey).convert("P")
    palette.putdata(grey.ravel())
    colours = np.zeros((256, 3), "uint8")
    colours[[1, 2, 255]] = (128, 0, 0), (0, 128, 0), (224, 224, 192)
    palette.putpalette(colours.ravel())
    palette.save(tmp_path / "palette.png")
    saved(tmp_path / "colours.png", colours[grey])
    saved(tmp_path / "grey.png", grey)
    saved(tmp_path / "one.png", np.minimum(grey, 1) + (grey == 255) * np.uint8(254))
    for name in ("palette.png", "colours.png", "grey.png", "one.png"):
        foreground, labelled, meaning = read_mask_with_meaning(tmp_path / name)
        assert np.array_equal(labelled[..., 0], outline == 0)
        assert np.array_equal(foreground[..., 0], CIRCLE > 0)
        assert "is not labelled, as in Pascal VOC" in meaning
    odd = np.where(outline, 255, classes * 7).astype("uint8")  # so 255 may be one of the labels
    foreground, labelled, meaning = read_mask_with_meaning(saved(tmp_path / "odd.png", odd))
    assert np.array_equal(foreground[..., 0], odd > 0)
    assert labelled.all()
    assert meaning == "foreground is all above 0 (7, 14, 255)"


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
    Image.fromarray(SOFT).save(tmp_path / "mask.webp")
    with pytest.raises(UserError, match=r"mask\.webp is a WebP with losses, which smears"):
        read_mask(tmp_path / "mask.webp")
    Image.fromarray(SOFT).save(tmp_path / "mask.webp", lossless=True)
    assert np.array_equal(read_mask(tmp_path / "mask.webp")[0][..., 0], SOFT >= 128)
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


def tiff_of(content, compression, shape):
    """The bytes of a grey 8-bit TIFF that holds this compressed content in one piece."""
    height, width = shape
    values = {256: width, 257: height, 258: 8, 259: compression, 262: 1, 273: 122, 277: 1,
              278: height, 279: len(content)}  # it begins at byte 122
    entries = b"".join(
        tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + value.to_bytes(4, "little")
        for tag, value in values.items())
    return b"II*\0\x08\0\0\0\x09\0" + entries + bytes(4) + content


def test_a_tiff_is_read_right_or_refused_in_a_sentence(tmp_path):
    path, smooth = tmp_path / "image.tif", cv2.GaussianBlur(COLOUR, (0, 0), 2)
    planes = np.moveaxis(smooth, 2, 0)

    def refused(message):
        for read in (read_image, read_mask):
            with pytest.raises(UserError, match=rf"image\.tif {message}"):
                read(path)

    path.write_bytes(tiff_of(smooth[..., 0].tobytes(), 1, (40, 50)))
    assert np.array_equal(read_image(path), smooth[..., :1])
    content = io.BytesIO()
    Image.fromarray(smooth[..., 0]).save(content, "jpeg2000", no_jp2=True)
    for compression in (34712, 34933, 50002, 12345):  # JPEG 2000, PNG, JPEG XL, and of nobody
        path.write_bytes(tiff_of(content.getvalue(), compression, (40, 50)))
        refused(rf"is a TIFF compressed in a way that OpenCV cannot read \(number {compression}")
    for options in ({}, {"bigtiff": True}, {"byteorder": ">"}, {"compression": "zlib"},
                    {"planarconfig": "separate"}):
        colours = planes if "planarconfig" in options else smooth
        tifffile.imwrite(path, colours, photometric="rgb", **options)
        assert np.array_equal(read_image(path), smooth)
        tifffile.imwrite(path, colours.astype("uint16") * 257, photometric="rgb", **options)
        if "planarconfig" in options:
            refused(r"holds its colours one after the other \(planar\)")
        else:
            assert np.allclose(read_image(path), smooth, atol=1e-4)
    for kind in ("uint8", "uint16"):
        for bands in (2, 3, 4):
            stack = np.dstack([smooth, smooth])[..., :bands].astype(kind)
            for layout in ("contig", "separate"):
                pixels = stack if layout == "contig" else np.moveaxis(stack, 2, 0)
                tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig=layout)
                refused(f"holds {bands} channels that are not marked as the colours of an image")
        tifffile.imwrite(path, stack, photometric="rgb", extrasamples=["unspecified"])
        refused("holds 4 channels that are not marked")
        tifffile.imwrite(path, stack, photometric="separated")
        refused("is a TIFF that is neither grey nor RGB")
        tifffile.imwrite(path, stack[..., :3], photometric="rgb")
        assert read_image(path).shape == (40, 50, 3)


@pytest.mark.parametrize("suffix", [".webp", ".gif", ".jfif", ".jpe", ".jp2", ".j2k", ".ppm"])
def test_other_formats_are_read_as_they_are_seen(tmp_path, suffix):
    path = tmp_path / f"image{suffix}"
    smooth = cv2.GaussianBlur(COLOUR, (0, 0), 3)
    Image.fromarray(smooth).save(path)
    seen = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert np.abs(read_image(path) - seen).mean() < 1
    assert images_in(tmp_path, "--folder") == [path]


def test_what_a_folder_holds_beside_images_that_are_read_is_counted(tmp_path):
    frames = [Image.fromarray(COLOUR), Image.fromarray(COLOUR[::-1])]
    for suffix in ("webp", "gif"):
        frames[0].save(tmp_path / f"still.{suffix}")
        frames[0].save(tmp_path / f"moving.{suffix}", save_all=True, append_images=frames[1:])
    for name in ("photo.HEIC", "cells.czi", "notes.txt", ".hidden.heic", "table.csv"):
        (tmp_path / name).write_text("")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "gone.png")
    images, others = images_and_others_in(tmp_path, "--folder")
    assert [path.name for path in images] == ["still.gif", "still.webp"]
    assert [path.name for path in others] == [
        "cells.czi", "dangling.png", "moving.gif", "moving.webp", "photo.HEIC"]
    with pytest.raises(UserError, match=r"moving\.gif holds 2 pages; save each as a file"):
        read_image(tmp_path / "moving.gif")
    frames[0].save(tmp_path / "photo.avif")
    with pytest.raises(UserError, match=r"photo\.avif is an AVIF, .*; save it as PNG"):
        read_image(tmp_path / "photo.avif")


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
