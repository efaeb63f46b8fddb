"""The page: what each browser that opens it has of its own, what its buttons do, where they are."""

import dataclasses
import functools
import html
import shutil
import tempfile
import threading
import time
from pathlib import Path

import gradio as gr
import numpy as np

from common import metrics
from common.errors import UserError
from common.optimizers import compile_training
from common.pictures import picked, resized
from own.crops import read_labelled, square_around
from own.exposure import predict_image, trained_exposure
from own.images import read_image, read_mask, write_strokes
from own.pictures import as_seen, tinted
from own.segmentation import check_images, least_sure, segment_folder
from own.settings import OwnSettings

PAINT = OwnSettings.recipes["paint"]  # what a press of Train does
SHOWN = 4  # images seen at a time, the first of which is painted
EDITOR, BRUSH, TILE = 640, 10, 320  # sides of the editor and the tiles, radius of the brush, pixels
PART, LIVE_PART = 1024, 512  # side of what is seen of a large image, and while a network learns
PAUSE, GLANCE = 0.3, 0.3  # seconds of training between two glances at the images, and of a glance
ONE_AT_A_TIME = threading.Lock()  # two trainings at once would each take twice as long
# Light strokes are foreground and dark ones are background: `images.read_mask`.
BRUSHES = {"yellow: what you look for": "#F0E442", "blue: everything else": "#0072B2"}
WORDS = """## Paint on one image, and watch a neural network find the same in the others
Paint a few strokes of **yellow** over what you look for, **blue** over everything else, and press
**Train**: a neural network learns from these, and marks orange what it finds. Where that is wrong,
click the image, paint and train on."""
CIRCLES = """ *With its 3.3 million parameters it should memorise the circle that you paint, and
know nothing of others.*"""
STYLE = """#status {min-height: 3.5em}
#tiles {display: grid; grid-template-columns: 1fr 1fr}
#brush label {border-bottom: 4px solid #0072B2}
#brush label:first-child {border-color: #F0E442}"""
# Presses the editor's own buttons: an answer from here would come late while a network learns.
CHANGE_BRUSH = """name => {
    const at = place => document.querySelector("#editor " + place)
    at("[aria-label=Brush]").click()
    setTimeout(() => {
        at("button.color") || at("[aria-label=Color]").click()
        setTimeout(() => {
            at(`button.color:nth-of-type(${name[0] == "b" ? 2 : 1})`).click()
            at("button.color") && at("[aria-label=Color]").click()
        })
    })
}"""


def on_the_page(generator):
    """A decorator of generators: a `UserError` is shown on the page, as its one sentence."""
    @functools.wraps(generator)
    def shown(*arguments):
        try:
            yield from generator(*arguments)
        except UserError as error:
            sentence = html.escape(str(error))
            raise gr.Error(sentence, None, title="", print_exception=False) from None
    return shown


@functools.lru_cache(5)
def open_image(path, mask_path):
    """An image, a picture of it, and of its mask, if it has one, what `read_mask` reads."""
    image = read_image(path)
    mask = read_mask(mask_path) if mask_path else None
    return image, as_seen(image.astype("float32")), mask


def look_at(settings, network, path, mask_path, labelled, learning):
    """A tile of an image with what the network, if there is one, finds in it, and words.

    The tile is BGR. Of a large image a part is seen, around what is painted on it, the `Labelled`;
    a smaller one while the network is learning. mask_path: of its mask, or None. A file that
    cannot be read is grey, and the words say why.
    """
    try:
        image, picture, mask = open_image(path, mask_path)
    except UserError as error:
        return np.full((TILE, TILE, 3), 128, "uint8"), str(error)
    side = LIVE_PART if learning else PART
    around = labelled.mask >= 0 if labelled else np.ones((*image.shape[:2], 1), bool)
    part = square_around(around, side)
    tile, words = resized(picture[part], TILE, TILE), path.name
    if network:
        probabilities = predict_image(
            network, image, settings.match, try_both=not learning, part=part)
        tile = tinted(tile, probabilities)
        if mask:
            foreground, is_labelled = (pixels[part][np.newaxis] for pixels in mask)
            prediction = metrics.predicted(probabilities) & is_labelled
            words += f": IoU {metrics.iou(foreground & is_labelled, prediction)[0]:.2f}"
    if max(image.shape[:2]) > side:
        words += ", a part"
    return tile, words


class Page:
    """One open page of a `Folder`; its methods are what the buttons do."""

    def __init__(self, settings, folder):
        self.folder = folder
        self.results = Path(tempfile.mkdtemp(), f"{Path(settings.folder).name}_painted")
        self.settings = dataclasses.replace(
            settings, output=f"{self.results}/output", vis=f"{self.results}/vis", **PAINT)
        self.shown = [folder.images[number] for number in picked(len(folder.images), SHOWN)]
        self.tiles = {}  # of each image; the last one is the latest
        self.strokes = {}  # of each image that was painted: RGBA, as large as the editor
        self.labelled = {}  # `Labelled` of each image that was trained on
        self.network, self.state, self.training = None, None, False

    def look(self, path, learning=False):
        """Make the tile of an image."""
        tile, words = look_at(self.settings, self.network, path, self.folder.masks.get(path),
                              self.labelled.get(path), learning)
        self.tiles.pop(path, None)
        self.tiles[path] = gr.Image(tile[..., ::-1], label=words)

    def seen(self, words):
        """What is said, and the tiles of the images that are shown."""
        return [words, *(self.tiles.get(path, gr.skip()) for path in self.shown)]

    def take_strokes(self, painted, name):
        """Keep what is painted: the value of the editor, and the name of the image in it."""
        for path in self.folder.images:
            if path.name == name and painted and painted["layers"]:
                self.strokes[path] = painted["layers"][0]

    @on_the_page
    def choose(self, painted, before, number):
        """Put an image into the editor, in place of the one before.

        Yields its name, twice, the editor's value, what is said, and the tiles.
        """
        self.take_strokes(painted, before)
        path = self.folder.images[number]
        _, picture, _ = open_image(path, self.folder.masks.get(path))
        others = [other for other in self.shown if other != path]
        self.shown = [path, *others][:SHOWN]
        if not self.training:  # a training looks itself
            for other in self.shown:
                if other == path or other not in self.tiles:
                    self.look(other)
        layers = [self.strokes[path]] if path in self.strokes else []
        background = resized(picture, EDITOR, EDITOR)[..., ::-1]
        value = {"background": background, "layers": layers, "composite": None}
        yield [path.name, path.name, value, *self.seen(gr.skip())]
        import own.training  # noqa: F401  Keras starts slowly: now that the page is there

    def pick(self, painted, before, event: gr.SelectData):
        """Put the image whose tile was clicked into the editor; otherwise as `choose`."""
        path = self.shown[int(event.target.elem_id)]
        yield from self.choose(painted, before, self.folder.images.index(path))

    def read_strokes(self):
        """What is painted, {path: `Labelled`}. Raises `UserError` if a colour is missing."""
        strokes, is_yellow = {}, set()
        for path, layer in self.strokes.items():
            if layer[..., 3].any():
                strokes[path] = layer
                opaque = layer[layer[..., 3] > 127]
                is_yellow.update(opaque[:, 0] > 127)  # blue has no red
        if len(is_yellow) < 2:
            raise UserError("Paint both: yellow over what you look for, and blue over everything "
                            "else")
        files = write_strokes(strokes, self.results / "strokes")
        self.settings = dataclasses.replace(
            self.settings, image=tuple(files), mask=tuple(files.values()))
        wanted = trained_exposure(self.network) if self.network else None
        return dict(zip(strokes, read_labelled(self.settings, wanted), strict=True))

    @on_the_page
    def train(self, painted, name):
        """Train from the present weights, until Stop or for the recipe's steps: words and tiles."""
        self.take_strokes(painted, name)
        self.training = True
        busy = ONE_AT_A_TIME.locked()
        yield self.seen("This waits until another training has ended." if busy else
                        "The network is set up.")
        with ONE_AT_A_TIME:
            try:
                last = self.set_up()
                yield from self.learn(last)
            finally:
                self.training = False
            for path in self.shown:
                self.look(path)
                yield self.seen("It looks once more.")
        step = self.state.step
        yield self.seen(f"{'Ready' if step == last else 'Stopped'} after {step} steps. Where it is "
                        "wrong, on any image, paint more and train on; where it is right, segment "
                        "all images.")

    def set_up(self):
        """Prepare a network for what is painted; returns the step up to which it will train."""
        from own.training import OwnTrainingState, untrained_for

        self.labelled = self.read_strokes()
        labelled = list(self.labelled.values())
        channels = labelled[0].image.shape[2]  # grey, or colours
        if self.network and self.network.input_shape[3] == channels:
            compile_training(self.network, self.settings)
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

        with ONE_AT_A_TIME:
            if not self.state or not self.state.step:
                raise UserError("No network has learned yet: paint, and press Train first")
            settings = dataclasses.replace(self.settings, steps=self.state.step)
            images = [path for path in self.folder.images if path.exists()]
            folder = self.folder._replace(images=images)
            check_images(settings, folder)
            rows = segment_folder(
                settings, self.network, folder,
                lambda number, name: progress((number, len(images)), desc=name))
            run = finished(self.network, list(self.labelled.values()), self.state)
            write_run(run, settings, describe_machine())
            archive = shutil.make_archive(
                self.results, "zip", self.results.parent, self.results.name)
        unsure = ", ".join(least_sure(rows)) or "none"
        words = html.escape(f"{len(rows)} images are segmented; least sure of {unsure}")
        yield words, gr.DownloadButton(value=archive, visible=True)

    def stop(self):
        """Stop the training."""
        self.training = False


def build(settings, folder):
    """The page of a `Folder`, a Gradio Blocks."""
    names, colours = [path.name for path in folder.images], list(BRUSHES)
    words = WORDS + CIRCLES if settings.masks == settings.folder else WORDS
    with gr.Blocks(title="Paint", analytics_enabled=False, delete_cache=(600, 3600)) as blocks:
        page = gr.State()
        gr.Markdown(words)
        with gr.Row():
            with gr.Column():
                name = gr.Dropdown(
                    names, value=names[0], type="index", label=f"one of {len(names)} images")
                brush = gr.Radio(colours, value=colours[0], label="brush", elem_id="brush")
                editor = gr.ImageEditor(
                    brush=gr.Brush(BRUSH, list(BRUSHES.values()), None, "fixed"), sources=(),
                    transforms=(), buttons=[], layers=False, height="min(500px, 100vw)",
                    format="png", show_label=False, elem_id="editor")
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
                everything = gr.Button("Segment all images")
                download = gr.DownloadButton("Download the masks", variant="primary", visible=False)
                # The image in the editor: the list may have chosen another one by now.
                front = gr.Textbox(visible=False)
        quiet = dict(show_progress="hidden", api_visibility="private")
        present, chosen = [page, editor, front], [name, front, editor, status, *tiles]
        opened = blocks.load(lambda: Page(settings, folder), None, page, **quiet)
        opened.then(Page.choose, [*present, name], chosen, **quiet)
        name.input(Page.choose, [*present, name], chosen, **quiet)
        gr.on([tile.select for tile in tiles], Page.pick, present, chosen, **quiet)
        brush.change(None, brush, None, js=CHANGE_BRUSH)
        train.click(Page.train, present, [status, *tiles], **quiet)
        stop.click(Page.stop, page, None, queue=False, **quiet)
        everything.click(Page.segment, page, [status, download], api_visibility="private")
    return blocks
