"""Paint strokes on one image, and watch a network find the same in all others.

    python -m own paint cells

opens a page in the browser with the images of a folder; without a folder,
with circles in noise, the experiment itself. Nothing leaves this machine.
It needs Gradio: README.md says how to install it.
"""

import contextlib
import os
import signal
import tempfile
import time

from common.command_line import fields_of, parse
from common.errors import UserError
from common.settings import Settings
from data import create_data, write_data
from own.segmentation import read_folder
from own.settings import OwnSettings

CIRCLES = 12  # images of the experiment, of which the first is the one that train.py trains on


def serve(settings, folder):
    """Start the page of a `Folder`; returns its address. Raises `UserError` where it cannot be."""
    try:
        # Gradio imports Matplotlib at every call, and common/backend.py hides it for a while.
        from common import plots  # noqa: F401
        from own import page
        blocks = page.build(settings, folder).queue(default_concurrency_limit=None)
        _, address, _ = blocks.launch(
            server_name=settings.host, server_port=settings.port or None,
            inbrowser=settings.browser, share=False, prevent_thread_lock=True, show_error=True,
            footer_links=[], run_history=False, enable_monitoring=False, quiet=True,
            css=page.STYLE)
    except ModuleNotFoundError as error:
        raise UserError(f"the page needs Gradio ({error}); install it as README.md says") from None
    except OSError:
        raise UserError(f"--host {settings.host} --port {settings.port} is taken or not of this "
                        "machine; give others") from None
    return address


def main():
    given = parse(__doc__, fields_of("seed", "masks", "match", "reduce", "page", kind=OwnSettings),
                  words=("folder", "[FOLDER]", "of images; without one, circles in noise"))
    folders = given.pop("folder")
    if len(folders) > 1:
        raise UserError(f"{' '.join(folders)} is not one folder of images; name one")
    if "masks" in given and not folders:
        raise UserError("--masks needs the folder of the images; name it too")
    for name in ("SIGTERM", "SIGHUP"):  # of a shell that is closed; Windows has none
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) != signal.SIG_IGN:  # as nohup asks
            signal.signal(number, signal.default_int_handler)  # like Ctrl-C
    # A thread may still write there when it is removed.
    temporary = tempfile.TemporaryDirectory(prefix="paint_", ignore_cleanup_errors=True)
    with contextlib.suppress(KeyboardInterrupt), temporary as place:
        tempfile.tempdir = place  # whatever the page writes is there
        os.environ["NO_PROXY"], os.environ["GRADIO_ANALYTICS_ENABLED"] = "*", "False"
        if folders:
            given["folder"] = os.path.abspath(folders[0])
        else:
            given["folder"] = given["masks"] = os.path.join(place, "circles")
            samples = create_data(CIRCLES, Settings(seed=given.get("seed", 0)))
            write_data(*samples, given["folder"])
        settings = OwnSettings(**given)
        folder = read_folder(settings)
        address = serve(settings, folder)
        print(f"{len(folder.images)} images: {address} (Ctrl-C ends it)", flush=True)
        while True:  # a signal that reached another thread is seen when this one wakes
            time.sleep(1)
    os._exit(0)  # a network may be learning in a thread, in the middle of which Python would abort
