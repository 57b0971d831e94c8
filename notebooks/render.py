"""Runs the notebooks on the lakehouse of ANIMEVERSE_HOME and renders them with their outputs as HTML: `make render`.

A page is one file that loads nothing else: images are embedded, and there are no scripts.
"""

import base64
import html
import io
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from PIL import Image
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

FOLDER = Path(__file__).parent
TARGET = FOLDER.parent / "docs" / "notebooks"
TIMEOUT = 600  # seconds per cell

_STYLE = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; color: #1c1c22 }
h1, h2 { line-height: 1.2; margin-top: 2em } h1 { margin-top: 0 } nav { margin-bottom: 2rem; font-size: 13px }
pre { font: 12px/1.45 ui-monospace, monospace; overflow-x: auto; margin: .5em 0 }
.highlight pre { background: #f6f6f9; padding: .7em .9em; border-radius: 4px }
code { font-family: ui-monospace, monospace; font-size: 92% } img { max-width: 100% }
.prompt, .anchor-link { display: none }
.output_subarea { overflow-x: auto; margin: .3em 0 1em }
table.dataframe { border-collapse: collapse; border: 0; font-size: 12px } .dataframe th { text-align: left }
.dataframe td, .dataframe th { padding: .2em .7em; border: solid #e4e4ea; border-width: 0 0 1px; white-space: pre }
"""


def notebooks() -> list[Path]:
    """Return the paths of all notebooks, in order."""
    return sorted(FOLDER.glob("[0-9]*.ipynb"))


def run(path: Path, folder: Path) -> Any:
    """Run a notebook in `folder` and return it with its outputs. Raises CellExecutionError."""
    notebook = nbformat.read(path, as_version=4)
    config = Config({"AsyncKernelManager": {"transport": "ipc"}})  # with TCP any user of the machine could connect
    NotebookClient(
        notebook, config=config, timeout=TIMEOUT, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return notebook


def shrink(notebook: Any) -> None:
    """Reduce images to 128 colors: a third of the bytes, without a visible difference."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    for data in (output["data"] for output in outputs if "image/png" in output["data"]):
        image = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
        compressed = io.BytesIO()
        image.quantize(128, dither=Image.Dither.NONE).save(compressed, "PNG", optimize=True)
        data["image/png"] = base64.b64encode(compressed.getvalue()).decode()


def page(notebook: Any, name: str, names: list[str]) -> str:
    """Return the HTML document of a notebook with outputs, with links to the other pages."""
    shrink(notebook)
    notebook.metadata["language_info"] = {"name": "python"}  # without the details that a kernel reports
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)  # every Polars table has one
    links = " · ".join(f'<a href="{other}.html">{other}</a>' if other != name else other for other in names)
    colors = HtmlFormatter(style="friendly", nobackground=True).get_style_defs(".highlight")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(name)}</title>\n'
        f"<style>{_STYLE}{colors}</style></head>\n<body><nav>{links}</nav>\n{body}\n</body></html>\n"
    )


def main() -> None:
    """Write the pages of all notebooks, or of those named by the arguments."""
    # On a busy machine the threads of gradient boosting wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    names = [path.stem for path in notebooks()]
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.setdefault("IPYTHONDIR", scratch)  # IPython keeps a history of all that is run
        for path in notebooks():
            if len(sys.argv) == 1 or path.stem in sys.argv[1:]:
                text = page(run(path, Path.cwd()), path.stem, names)
                (TARGET / f"{path.stem}.html").write_text(text)
                print(f"{path.stem:<32}{len(text) >> 10:>6} KiB", file=sys.stderr)


if __name__ == "__main__":
    main()
