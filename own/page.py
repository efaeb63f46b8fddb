"""The page: what each browser that opens it has of its own, what its buttons do, where they are."""

import dataclasses
import functools
import html
import json
import shutil
import tempfile
import threading
import time
from pathlib import Path

import gradio as gr
import numpy as np

from common import metrics
from common.errors import UserError
from common.files import write_bytes
from common.pictures import picked, resized
from own import editor
from own.crops import read_labelled, prepared_for_training, square_around
from own.exposure import predict_image, trained_exposure
from own.images import read_image, write_strokes
from own.pictures import as_seen, encoded, tinted
from own.scale import enlarged_part
from own.segmentation import EVERYTHING, NOTHING, check_places, least_sure, mask_of, remarks
from own.segmentation import segment_folder
from own.settings import OwnSettings

PAINT = OwnSettings.recipes["paint"]  # what a press of Train does
SHOWN = 4  # images seen at a time, the first of which is painted
LARGEST, TILE = 4096, 320  # sides of the picture to paint, at most, and of the tiles, pixels
PART, LIVE_PART = 1024, 512  # side of what is seen of a large image, and while a network learns
PAUSE, GLANCE = 0.3, 0.3  # seconds of training between two glances at the images, and of a glance
TABS = 20  # of browsers whose networks are kept for when they are loaded anew
ONE_AT_A_TIME = threading.Lock()  # two trainings at once would each take twice as long
WORDS = """## Paint on one image, and watch a neural network find the same in the others
Paint a few strokes of **yellow** over what you look for, **blue** over everything else, and press
**Train**: a neural network learns from these, and marks orange what it finds. Where that is wrong,
click the image, paint and train on."""
MASKS = " Outlined in light blue is what your masks hold."
CIRCLES = """ *With its 3.3 million parameters it should memorise the circle that you paint, and
know nothing of others.*"""
# Messages of Gradio's own lie where they cover no button.
STYLE = """#status {min-height: 4.5em}
#tiles {display: grid; grid-template-columns: 1fr 1fr}
#tiles img {height: clamp(160px, 50vh - 180px, 400px); object-fit: contain}
.mistake {border-left: 4px solid #D55E00; padding-left: 8px}
.toast-wrap {top: auto !important; bottom: 8px; left: 8px; right: auto !important}"""
README = """Painted with python -m own paint on images of {folder}.

vis/masks/        the mask of every image: white is what was looked for
vis/overlays/     every image with the outline of its mask
vis/metrics.csv   a row for every image
vis/contact_sheet.png
strokes/          what was painted, as masks for python -m own train
output/           the network; for more images of the kind, where the repository is:
                  python -m own segment MORE --output THIS_FOLDER/output
"""


def on_the_page(method):
    """A decorator of a `Page`'s generators: a `UserError` is said there, as its one sentence."""
    @functools.wraps(method)
    def shown(page, *arguments):
        try:
            yield from method(page, *arguments)
        except UserError as error:
            yield page.seen(f"<p class=mistake>{html.escape(str(error))}</p>")
    return shown


@functools.lru_cache(5)
def open_image(path):
    """An image, and a picture of it."""
    image = read_image(path)
    return image, as_seen(image.astype("float32"))


def look_at(settings, network, path, mask_path, labelled, learning):
    """A tile of an image with what the network, if there is one, finds in it, and words.

    The tile is BGR. Of a large image a part is seen, around what is painted on it, the `Labelled`;
    a smaller one while the network is learning. mask_path: of its mask, or None. A file that
    cannot be read is grey, and the words say why.
    """
    try:
        image, picture = open_image(path)
    except UserError as error:
        return np.full((TILE, TILE, 3), 128, "uint8"), str(error)
    side, times = LIVE_PART if learning else PART, settings.reduce or 1
    if labelled:
        part = enlarged_part(square_around(labelled.mask >= 0, side), times)
    else:
        part = square_around(np.ones((*image.shape[:2], 1), bool), side * times)
    tile, words, mask = resized(picture[part], TILE, TILE), path.name, None
    try:
        mask = mask_of(image, path, mask_path)
    except UserError as error:
        words = str(error)
    if network:
        probabilities = predict_image(
            network, image, settings.match, try_both=not learning, part=part, times=times)
        prediction, given = metrics.predicted(probabilities), None
        if mask:
            foreground, is_labelled = (pixels[part] for pixels in mask)
            given = foreground & is_labelled
            found = prediction & is_labelled
            words += f": IoU {metrics.iou(given[np.newaxis], found[np.newaxis])[0]:.2f}"
        if prediction.mean() >= EVERYTHING:
            words += ", all of it"
        if prediction.mean() <= NOTHING:
            words += ", nothing found"
        tile = tinted(tile, probabilities, given)
    if max(image.shape[:2]) > side * times:
        words += ", a part"
    return tile, words


class Page:
    """What one tab of a browser has of a `Folder`; its methods are what the buttons do.

    pictures: a folder for pictures of the images, which the browser may read.
    """

    def __init__(self, settings, folder, pictures):
        self.folder, self.pictures = folder, Path(pictures)
        self.results = Path(tempfile.mkdtemp(), f"{Path(settings.folder).name}_painted")
        self.settings = dataclasses.replace(
            settings, output=f"{self.results}/output", vis=f"{self.results}/vis", **PAINT)
        self.shown = [folder.images[number] for number in picked(len(folder.images), SHOWN)]
        self.at_work = threading.Lock()  # held by what uses the network
        self.given_reduce = settings.reduce
        self.has_strokes = False  # that the browser has kept from before
        self.forget()

    def forget(self):
        """Be as a page that was just opened, but for the images that are shown."""
        self.tiles = {}  # of each image; the last one is the latest
        self.painted = {}  # on each image that was painted, by its name: see `editor.read`
        self.painted_at = 0  # the step from which on it learned what is painted now
        self.labelled = {}  # `Labelled` of each image that was trained on
        self.network, self.state, self.training = None, None, False
        self.settings = dataclasses.replace(self.settings, reduce=self.given_reduce)

    def look(self, path, learning=False):
        """Make the tile of an image."""
        tile, words = look_at(self.settings, self.network, path, self.folder.masks.get(path),
                              self.labelled.get(path), learning)
        self.tiles.pop(path, None)
        self.tiles[path] = gr.Image(tile[..., ::-1], label=words)

    def seen(self, words=None, to_paint=None, download=None):
        """What the browser is told: what is said, the image to paint, the ZIP, and the tiles.

        These are the components of `build`, in their order; what is None stays as it is.
        """
        answers = [gr.skip() if words is None else words]
        if to_paint:
            answers += [to_paint["name"], gr.HTML(shown=to_paint)]
        else:
            answers += [gr.skip(), gr.skip()]
        answers.append(download or gr.skip())
        return answers + [self.tiles.get(path, gr.skip()) for path in self.shown]

    def number(self):
        """The number of the image in the editor, among those of the folder."""
        return self.folder.images.index(self.shown[0])

    @on_the_page
    def open(self):
        """Show the first image, or that which this tab had before it was loaded anew."""
        words = ""
        if self.state and self.state.step:
            words = f"The network is still here, after {self.state.step} steps."
        elif self.has_strokes:
            words = "Your strokes are still here; no network has learned from them yet."
        yield from self.put(self.number(), 1, words)
        import own.training  # noqa: F401  Keras starts slowly: now that the page is there

    @on_the_page
    def choose(self, number):
        """Put the image of that number into the editor."""
        yield from self.put(number)

    @on_the_page
    def pick(self, event: gr.SelectData):
        """Put the image whose tile was clicked into the editor."""
        path = self.shown[int(event.target.elem_id)]
        yield from self.put(self.folder.images.index(path))

    @on_the_page
    def put_next(self):
        """Put the next image into the editor."""
        yield from self.put(self.number() + 1)

    @on_the_page
    def put_previous(self):
        """Put the previous image into the editor."""
        yield from self.put(self.number() - 1, -1)

    def put(self, number, step=1, words=None):
        """Put an image into the editor, and say words; one that cannot be read is passed over."""
        count, mistakes = len(self.folder.images), []
        for distance in range(count):
            path = self.folder.images[(number + step * distance) % count]
            try:
                _, picture = open_image(path)
                break
            except UserError as error:
                mistakes.append(error)
        else:
            raise mistakes[0]
        others = [other for other in self.shown if other != path]
        self.shown = [path, *others][:SHOWN]
        if not self.training:  # a training looks itself
            for other in self.shown:
                if other == path or other not in self.tiles:
                    self.look(other)
        yield self.seen(words, self.to_paint(path, picture))
        if mistakes:
            raise mistakes[0]

    def to_paint(self, path, picture):
        """What the editor is told of an image and its picture, BGR uint8 (height, width, 3)."""
        height, width, _ = picture.shape
        file = self.pictures / f"{self.folder.images.index(path)}.jpg"
        if not file.exists():
            side = min(LARGEST, max(height, width))
            write_bytes(file, encoded(resized(picture, side, side)))
        url = f"gradio_api/file={file.as_posix()}"
        return {"name": path.name, "height": height, "width": width, "url": url}

    def read_strokes(self, painted):
        """What is painted, {path: `Labelled`}. Raises `UserError` if a colour is missing."""
        tools, layers = set(), {}
        for path in self.folder.images:
            if path.name not in painted:
                continue
            image, strokes = read_image(path), painted[path.name]["strokes"]
            height, width, _ = image.shape
            if (height, width) != (painted[path.name]["height"], painted[path.name]["width"]):
                raise UserError(f"{path} has another size than when it was painted: choose it, and "
                                "paint it anew")
            layer = editor.draw(strokes, height, width)
            if layer.any():
                layers[path] = layer
        for layer in layers.values():
            opaque = layer[layer[..., 3] > 0]
            tools.update(opaque[:, 0] > 127)
        if len(tools) < 2:
            raise UserError("Paint both: yellow over what you look for, and blue over everything "
                            "else")
        files = write_strokes(layers, self.results / "strokes")
        self.settings = dataclasses.replace(
            self.settings, image=tuple(files), mask=tuple(files.values()))
        wanted = trained_exposure(self.network) if self.network else None
        labelled = read_labelled(self.settings)
        self.settings, labelled = prepared_for_training(self.settings, labelled, wanted)
        return dict(zip(layers, labelled, strict=True))

    @on_the_page
    def train(self, value):
        """Train from the present weights, until Stop or for the recipe's steps: words and tiles."""
        self.training = True
        if ONE_AT_A_TIME.locked():
            yield self.seen("This waits until another training has ended.")
        with self.at_work:
            while self.training and not ONE_AT_A_TIME.acquire(timeout=0.1):
                pass
            if not self.training:
                yield self.seen("Stopped.")
                return
            try:
                _, painted = editor.read(value)
                self.labelled = self.read_strokes(painted)
                words = "The network is set up."
                if self.settings.reduce > 1:
                    words += f" It sees images reduced {self.settings.reduce} times."
                yield self.seen(words)
                last = self.set_up()
                if painted != self.painted:
                    self.painted, self.painted_at = painted, self.state.step
                yield from self.learn(last)
            finally:
                self.training = False
                ONE_AT_A_TIME.release()
            for path in self.shown:
                self.look(path)
                yield self.seen("It looks once more.")
            step = self.state.step
            words = f"{'Ready' if step == last else 'Stopped'} after {step} steps. "
            if step > self.painted_at + PAINT["steps"]:
                words += ("By now it may know the strokes by heart, and more steps make it no "
                          "better. ")
            yield self.seen(words + "Where it is wrong, on any image, paint more and train on; "
                            "where it is right, segment all images.")

    def set_up(self):
        """Prepare a network for what is painted; returns the step up to which it will train."""
        from own.training import OwnTrainingState, compile_own, untrained_for

        labelled = list(self.labelled.values())
        channels = labelled[0].image.shape[2]  # grey, or colours
        if self.network and self.network.input_shape[3] == channels:
            compile_own(self.network, self.settings)
        else:
            self.network = untrained_for(self.settings, labelled)
        self.state = self.state or OwnTrainingState()
        return self.state.step + PAINT["steps"]

    def learn(self, last):
        """Train up to the step `last`, or until Stop, and look at the images meanwhile."""
        from own.training import training_steps

        first = self.state.step + 1
        settings = dataclasses.replace(self.settings, steps=last)
        labelled = list(self.labelled.values())
        for step in training_steps(self.network, settings, labelled, self.state):
            if step == first:  # it takes longer than those that follow
                started = looked = time.monotonic()
            elif time.monotonic() > looked + PAUSE:
                self.glance()
                left = (time.monotonic() - started) / (step - first) * (last - step)
                loss = np.mean(self.state.losses or self.state.history[-1]["loss"])
                bar = f"<progress max={PAINT['steps']} value={step - first + 1}></progress>"
                yield self.seen(f"{bar} step {step} of {last}, loss {loss:.3f}, "
                                f"about {left:.0f} s left")
                looked = time.monotonic()
            if not self.training:
                return

    def glance(self):
        """Look at the painted image and the one that waits longest; at others if there is time."""
        started, painted = time.monotonic(), self.shown[0]
        waiting = [path for path in self.shown[1:] if path not in self.tiles]
        waiting += [path for path in self.tiles if path in self.shown[1:]]  # the oldest tile first
        for path in [painted, *waiting]:
            if path in waiting[:1] or time.monotonic() < started + GLANCE:
                self.look(path, learning=True)

    @on_the_page
    def segment(self, progress=gr.Progress()):  # noqa: B008  how Gradio is asked for one
        """Segment all images, and write the network too: yields what is said, and a ZIP."""
        from common.backend import describe_machine
        from own.training import finished, write_run

        waits = "This waits until a training has ended."
        yield self.seen(waits if ONE_AT_A_TIME.locked() else "")
        with self.at_work, ONE_AT_A_TIME:
            if not self.state or not self.state.step:
                raise UserError("No network has learned yet: paint, and press Train first")
            settings = dataclasses.replace(self.settings, steps=self.state.step)
            images = [path for path in self.folder.images if path.exists()]
            folder = self.folder._replace(images=images)
            check_places(settings, folder)
            rows, problems = segment_folder(
                settings, self.network, folder,
                lambda number, name: progress((number, len(images)), desc=name))
            self.put_beside(least_sure(rows))
            run = finished(self.network, list(self.labelled.values()), self.state)
            write_run(run, settings, describe_machine())
            self.make_portable()
            archive = shutil.make_archive(
                self.results, "zip", self.results.parent, self.results.name)
        yield self.seen(html.escape("; ".join([words_of(rows), *problems])),
                        download=gr.DownloadButton(value=archive, visible=True))

    def put_beside(self, names):
        """Show the images of these names beside the one in the editor, before others."""
        first = [path for path in self.folder.images if path.name in names]
        self.shown = list(dict.fromkeys([self.shown[0], *first, *self.shown]))[:SHOWN]
        for path in self.shown:
            self.look(path)

    def make_portable(self):
        """Make the results mean something elsewhere: a README, and no path of a temporary file."""
        readme = README.format(folder=Path(self.settings.folder).name)
        write_bytes(self.results / "README.txt", readme.encode())
        path = self.results / "output" / "settings.json"
        content = json.loads(path.read_text())
        content["settings"]["output"] = "output"
        content["settings"]["mask"] = [
            f"strokes/{Path(mask).name}" for mask in self.settings.mask]
        if is_experiment(self.settings):
            content["settings"]["image"] = [Path(image).name for image in self.settings.image]
        write_bytes(path, (json.dumps(content, indent=2) + "\n").encode())

    def stop(self):
        """Stop the training."""
        self.training = False

    @on_the_page
    def start_over(self):
        """Forget strokes and network."""
        self.stop()
        if self.at_work.locked():
            yield self.seen("This waits until what runs has ended.")
        with self.at_work:
            self.forget()
        hidden = gr.DownloadButton(visible=False)
        yield from self.put(self.number())
        yield self.seen("Strokes and network are forgotten.", download=hidden)


def words_of(rows):
    """What is said of images that were segmented, by the rows of metrics.csv."""
    segmented = "1 image is" if len(rows) == 1 else f"{len(rows)} images are"
    words = [f"{segmented} segmented", *remarks(rows)]
    if first := least_sure(rows):
        words.append(f"look first at {', '.join(first)}")
    return "; ".join(words)


def is_experiment(settings):
    """Whether the images are circles in noise, which lie with their masks in one folder."""
    return settings.masks == settings.folder


def build(settings, folder):
    """The page of a `Folder`, a Gradio Blocks."""
    names, words = [path.name for path in folder.images], WORDS
    if folder.masks:
        words += MASKS
    if is_experiment(settings):
        words += CIRCLES
    pages, pictures = {}, tempfile.mkdtemp()
    gr.set_static_paths([pictures])

    def enter(value):
        """The `Page` of a tab, which it keeps when it is loaded anew."""
        tab, painted = editor.read(value)
        page = pages.pop(tab, None) or Page(settings, folder, pictures)
        pages[tab] = page  # the last one is the latest
        page.has_strokes = bool(painted)
        if len(pages) > TABS:
            pages.pop(next(iter(pages)))
        return page

    with gr.Blocks(title="Paint", analytics_enabled=False, delete_cache=(600, 3600)) as blocks:
        page = gr.State()
        gr.Markdown(words)
        with gr.Row():
            with gr.Column():
                with gr.Row():
                    name = gr.Dropdown(names, value=names[0], type="index", container=False,
                                       label=f"one of {len(names)} images", scale=4)
                    previous = gr.Button("Previous", min_width=80)
                    following = gr.Button("Next", min_width=80)
                painting = editor.editor(
                    f"circles {settings.seed}" if is_experiment(settings) else settings.folder)
            with gr.Column():
                with gr.Row():
                    train, stop = gr.Button("Train", variant="primary"), gr.Button("Stop")
                status = gr.HTML(elem_id="status")
                tiles = []
                with gr.Row(elem_id="tiles"):
                    for number in range(min(SHOWN, len(names))):
                        tiles.append(gr.Image(
                            interactive=False, format="jpeg", buttons=[], min_width=100,
                            elem_id=f"{number}"))
                with gr.Row():
                    everything = gr.Button("Segment all images")
                    download = gr.DownloadButton(
                        "Download the masks", variant="primary", visible=False)
        quiet = dict(show_progress="hidden", api_visibility="private")
        answers = [status, name, painting, download, *tiles]
        opened = blocks.load(enter, painting, page, js=editor.OPENED, **quiet)
        opened.then(Page.open, page, answers, **quiet)
        name.input(Page.choose, [page, name], answers, **quiet)
        previous.click(Page.put_previous, page, answers, **quiet)
        following.click(Page.put_next, page, answers, **quiet)
        gr.on([tile.select for tile in tiles], Page.pick, page, answers, **quiet)
        train.click(Page.train, [page, painting], answers, **quiet)
        stop.click(Page.stop, page, None, queue=False, **quiet)
        painting.start_over(Page.start_over, page, answers, **quiet)
        everything.click(
            Page.segment, page, answers, show_progress_on=status, api_visibility="private")
    return blocks
