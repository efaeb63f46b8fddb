"""The page: what each browser that opens it has of its own, what its buttons do, and where they stand."""

import dataclasses
import html
import shutil
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np

import test as segment
from common import pictures
from common.checkpoints import Checkpoints
from common.errors import UserError, telling
from common.images import write_strokes
from common.screen import Stopwatch
from common.settings import RECIPES
from data import read_labelled

SHOWN, EDITOR, RADIUS = 4, 640, 10  # images seen at a time; side at which one is painted, and the brush, pixels
PAUSE = GLANCE = 0.3  # seconds of training between two looks at the images, and seconds that such a look may take
TURN = threading.Lock()  # one page trains at a time: two at once would each take twice as long
BRUSHES = {"yellow: what you look for": "#F0E442", "blue: everything else": "#0072B2"}  # light and dark, for train.py
WORDS = """## Paint on one image, and watch a neural network find the same in the others
Paint a few strokes of **yellow** over what you look for, **blue** over everything else, and press **Train**: a neural
network learns from these, and marks orange what it finds. Where that is wrong, click the image, paint and train on."""
CIRCLES = " *With its 3.3 million parameters it should memorise the circle that you paint, and know nothing of others.*"
STYLE = """#status {min-height: 3.5em} #tiles {display: grid; grid-template-columns: 1fr 1fr}
#brush label {border-bottom: 4px solid #0072B2} #brush label:first-child {border-color: #F0E442}"""
# presses the editor's own buttons, for an answer from here would come late while a network learns
CHANGE_BRUSH = """name => {const at = to => document.querySelector("#editor " + to), press = to => at(to).click()
press("[aria-label=Brush]"); setTimeout(() => {at("button.color") || press("[aria-label=Color]"); setTimeout(() => {
press(`button.color:nth-of-type(${name[0] == "b" ? 2 : 1})`); at("button.color") && press("[aria-label=Color]")})})}"""
on_the_page = telling(lambda sentence: gr.Error(html.escape(sentence), None, title="", print_exception=False))


class Page:
    """One open page, of images and masks as of `test.own_images`; its methods are what buttons do."""

    def __init__(self, settings, images, masks):
        self.results = Path(tempfile.mkdtemp(), f"{Path(settings.folder).name}_painted")
        self.settings = dataclasses.replace(settings, output=f"{self.results}/output", vis=f"{self.results}/vis")
        self.images, self.masks, self.training = images, masks, False
        self.shown = [images[number] for number in pictures.picked(len(images), SHOWN)]  # the first is to be painted
        self.tiles, self.strokes = {}, {}  # of each image; the last tile is the latest; RGBA, as large as the editor
        self.network, self.labelled, self.kept, self.watch = None, {}, Checkpoints(), Stopwatch()

    def look(self, path, live=False):
        """Make the tile of an image; live: as of `test.glimpse`."""
        tile = segment.glimpse(self.settings, self.network, path, live, self.masks.get(path), self.labelled.get(path))
        self.tiles.pop(path, None)
        self.tiles[path] = gr.Image(tile[0][..., ::-1], label=tile[1])

    def seen(self, words):
        """What is said, and the tiles of the images that are shown."""
        return [words, *(self.tiles.get(path, gr.skip()) for path in self.shown)]

    def keep(self, painted, name):
        """Keep what is painted: the value of the editor, and the name of the image that is in it."""
        layers = painted["layers"] if painted else []
        self.strokes.update(zip([path for path in self.images if path.name == name], layers, strict=False))

    @on_the_page
    def choose(self, painted, before, number):
        """Put an image first, to be painted: its name, twice, the editor's value, what is said, the tiles."""
        self.keep(painted, before)
        path = self.images[number]
        picture = pictures.fitted(segment.opened(path, self.masks.get(path))[1], EDITOR, EDITOR)[..., ::-1]
        layers = [self.strokes[path]] if path in self.strokes else []
        self.shown = [path, *(other for other in self.shown if other != path)][:SHOWN]
        for other in () if self.training else {path} | ({*self.shown} - {*self.tiles}):  # a training looks itself
            self.look(other)
        yield [path.name] * 2 + [{"background": picture, "layers": layers, "composite": None}, *self.seen(gr.skip())]
        import train  # noqa: F401  with Keras, which starts slowly: now that the page is there

    def pick(self, painted, before, event: gr.SelectData):
        """The same for the image whose tile was clicked."""
        yield from self.choose(painted, before, self.images.index(self.shown[int(event.target.elem_id)]))

    def painted(self):
        """What is painted, {path: `data.Labelled`}, as train.py reads it. Raises `UserError` if a colour is missing."""
        import model
        strokes = {path: layer for path, layer in self.strokes.items() if layer[..., 3].any()}
        if len({is_light for layer in strokes.values() for is_light in layer[layer[..., 3] > 127][:, 0] > 127}) < 2:
            raise UserError("Paint both: yellow over what you look for, and blue over everything else")
        files = write_strokes(strokes, self.results / "strokes")
        self.settings = dataclasses.replace(self.settings, **RECIPES["paint"], image=(*files,), mask=(*files.values(),))
        to = self.network and model.trained_exposure(self.network)
        return dict(zip(strokes, read_labelled(self.settings, to), strict=True))

    @on_the_page
    def train(self, painted, name):
        """Train from the present weights until Stop, or for the settings' steps: what is said, and the tiles."""
        import train
        self.keep(painted, name)
        self.training, before, step = True, self.kept.step, self.kept.step
        yield self.seen("This waits until another training has ended." if TURN.locked() else "The network is set up.")
        with TURN:
            try:
                self.labelled, last = self.painted(), before + RECIPES["paint"]["steps"]
                labelled = [*self.labelled.values()]
                goes_on = self.network and self.network.input_shape[3] == labelled[0].image.shape[2]  # grey, or colours
                self.network = (train.prepared(self.network, self.settings) if goes_on else
                                train.untrained_own(self.settings, labelled))
                for step in train.fit_own(self.network, dataclasses.replace(self.settings, steps=last), labelled,
                                          self.kept, self.watch):
                    if step < before + 2:  # they take longer than those that follow
                        begun = looked = time.monotonic()
                    elif time.monotonic() > looked + PAUSE:
                        looked = time.monotonic()
                        others = [path for path in self.tiles if path in self.shown[1:]]  # first who waits longest
                        for path in [self.shown[0], *others]:
                            if path in others[:1] or time.monotonic() < looked + GLANCE:
                                self.look(path, live=True)
                        left = (time.monotonic() - begun) / (step - before - 1) * (last - step)
                        loss = np.mean(self.kept.losses or self.kept.history[-1]["loss"])
                        yield self.seen(f"<progress max={last - before} value={step - before}></progress> step {step} "
                                        f"of {last}, loss {loss:.3f}, about {left:.0f} s left")
                        looked = time.monotonic()
                    if not self.training:
                        break
            finally:
                self.training, self.kept.step = False, step
            for path in self.shown:
                self.look(path)
                yield self.seen("It looks once more.")
        yield self.seen(f"{'Ready' if step == last else 'Stopped'} after {step} steps. Where it is wrong, on any "
                        "image, paint more and train on; where it is right, segment all images.")

    @on_the_page
    def segment(self, progress=gr.Progress()):  # noqa: B008  how Gradio is asked for one
        """Segment all images as test.py does, and write the network as train.py does: what is said, and a ZIP."""
        import train
        from common.backend import describe_machine
        with TURN:
            if not self.kept.step:
                raise UserError("No network has learned yet: paint, and press Train first")
            settings = dataclasses.replace(self.settings, steps=self.kept.step)
            images = [*filter(Path.exists, self.images)]
            segment.check_own_images(settings, images, self.masks)
            rows = segment.segment_folder(settings, self.network, images, self.masks, SimpleNamespace(
                show=lambda done, name: progress((done, len(images)), desc=name)))
            run = train.own_run(self.network, [*self.labelled.values()], self.kept.history, self.watch)
            train.write_run(run, settings, describe_machine())
            archive = shutil.make_archive(self.results, "zip", self.results.parent, self.results.name)
        words = f"{len(rows)} images are segmented; least sure of {', '.join(segment.least_sure(rows)) or 'none'}"
        yield html.escape(words), gr.DownloadButton(value=archive, visible=True)


def build(settings, images, masks):
    """The page of a folder, a Gradio Blocks. Arguments: as of `Page`, of which each browser has its own."""
    names = [path.name for path in images]
    with gr.Blocks(title="Paint", analytics_enabled=False, delete_cache=(600, 3600)) as blocks:
        page = gr.State()
        gr.Markdown(WORDS + CIRCLES * (settings.masks == settings.folder))
        with gr.Row():
            with gr.Column():
                name = gr.Dropdown(names, value=names[0], type="index", label=f"one of {len(names)} images")
                brush = gr.Radio([*BRUSHES], value=next(iter(BRUSHES)), label="brush", elem_id="brush")
                editor = gr.ImageEditor(
                    brush=gr.Brush(RADIUS, [*BRUSHES.values()], None, "fixed"), sources=(), transforms=(), buttons=[],
                    layers=False, height="min(500px, 100vw)", format="png", show_label=False, elem_id="editor")
            with gr.Column():
                with gr.Row():
                    train, stop = gr.Button("Train", variant="primary"), gr.Button("Stop")
                status = gr.HTML(elem_id="status")
                with gr.Row(elem_id="tiles"):
                    tiles = [gr.Image(interactive=False, format="jpeg", buttons=[], min_width=100, elem_id=f"{number}")
                             for number in range(min(SHOWN, len(images)))]
                everything = gr.Button("Segment all images")
                download = gr.DownloadButton("Download the masks", variant="primary", visible=False)
                front = gr.Textbox(visible=False)  # the image in the editor, for the page may have chosen another
        quiet = dict(show_progress="hidden", api_visibility="private")
        choosing = dict(inputs=[page, editor, front, name], outputs=[name, front, editor, status, *tiles], **quiet)
        blocks.load(lambda: Page(settings, images, masks), None, page, **quiet).then(Page.choose, **choosing)
        name.input(Page.choose, **choosing)
        gr.on([tile.select for tile in tiles], Page.pick, **{**choosing, "inputs": [page, editor, front]})
        brush.change(None, brush, None, js=CHANGE_BRUSH)
        train.click(Page.train, [page, editor, front], [status, *tiles], **quiet)
        stop.click(lambda page: setattr(page, "training", False), page, None, queue=False, **quiet)
        everything.click(Page.segment, page, [status, download], api_visibility="private")
    return blocks
