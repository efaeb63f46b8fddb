"""A page in the browser: paint a few strokes on one image, and watch a network find the same in all others.

`python -m paint cells` opens the images of a folder; without one, circles in noise, the experiment itself. Nothing
leaves this machine. It needs Gradio: README.md says how to install it.
"""

import contextlib
import dataclasses
import os
import tempfile
import threading

from common.checks import check_values
from common.command_line import fields_of, parse
from common.errors import UserError, run_script
from common.settings import Settings, setting
from data import create_data
from test import own_images


@dataclasses.dataclass(frozen=True)
class Options:
    """What only the page needs; each is a flag of it."""

    host: str = setting("127.0.0.1", "paint", "address to listen on; 0.0.0.0 lets other machines in", metavar="ADDRESS")
    port: int = setting(0, "paint", "port to listen on; 0 is the first free one from 7860", least=0, most=65535)
    browser: bool = setting(True, "paint", "open the page in a browser")
    __post_init__ = check_values


def main():
    given = parse(__doc__, [*fields_of("seed", "masks"), *dataclasses.fields(Options)],
                  words=("folder", "folder of your own images; none is circles in noise"))
    options = Options(**{field.name: given.pop(field.name, field.default) for field in dataclasses.fields(Options)})
    folder = given.pop("folder")
    if len(folder) > 1 or (given.get("masks") and not folder):
        raise UserError(f"{' '.join(folder) or '--masks alone'} is not one folder of images; name one")
    with contextlib.suppress(KeyboardInterrupt), tempfile.TemporaryDirectory(prefix="paint_") as place:
        tempfile.tempdir, os.environ["NO_PROXY"], os.environ["GRADIO_ANALYTICS_ENABLED"] = place, "*", "False"
        if not folder:
            folder = [given.setdefault("masks", os.path.join(place, "circles"))]
            create_data(12, Settings(seed=given.get("seed", 0)), folder=folder[0])  # train.py trains on the first
        images, masks, _ = own_images(settings := Settings(**given, folder=os.path.abspath(folder[0])))
        try:
            import matplotlib  # noqa: F401  Gradio imports it at every call, and common/backend.py hides it for a while
            from paint import page
            _, url, _ = page.build(settings, images, masks).queue(default_concurrency_limit=None).launch(
                server_name=options.host, server_port=options.port or None, inbrowser=options.browser, share=False,
                prevent_thread_lock=True, show_error=True, footer_links=[], run_history=False, enable_monitoring=False,
                quiet=True, css=page.STYLE)
        except ModuleNotFoundError as error:
            raise UserError(f"the page needs Gradio ({error}); install it as README.md says") from None
        except OSError:
            raise UserError(f"--host {options.host} --port {options.port} is taken or not of this machine; give others"
                            ) from None
        print(f"{len(images)} images: {url} (Ctrl-C ends it)", flush=True)
        threading.Event().wait()
    os._exit(0)  # a network may be learning in a thread, in the middle of which Python would abort


if __name__ == "__main__":
    run_script(main)
