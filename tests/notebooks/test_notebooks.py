"""The notebooks run on a small demo, are committed without outputs, and match their rendered pages."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from notebooks.render import TARGET, notebooks, page, run

ROOT = Path(__file__).parents[2]
NAMES = [path.stem for path in notebooks()]


@pytest.fixture(scope="module")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lakehouse made in several batches, so that time travel has snapshots."""
    home = tmp_path_factory.mktemp("demo") / "home"
    command = [sys.executable, "-m", "animeverse", "--home", home, "demo", "--events", "12000", "--days", "49"]
    environment = {"PATH": "", "ANIMEVERSE_BATCH_SIZE": "3000"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def kernel_settings(
    demo_home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The working folder of a kernel that reads and writes nothing in the user's home."""
    scratch = tmp_path_factory.getbasetemp() / "jupyter"  # shared, so that matplotlib builds its font list once
    scratch.mkdir(exist_ok=True)
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(scratch))
    monkeypatch.setenv("ANIMEVERSE_HOME", str(demo_home))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    yield ROOT


def test_each_of_the_six_notebooks_has_a_page() -> None:
    assert [name[:2] for name in NAMES] == ["01", "02", "03", "04", "05", "06"]
    assert {path.stem for path in TARGET.glob("*.html")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_committed_without_outputs(name: str) -> None:
    path = ROOT / "notebooks" / f"{name}.ipynb"
    notebook = json.loads(path.read_text())
    nbformat.validate(notebook)
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert notebook["cells"][0]["cell_type"] == "markdown"
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert str(Path.home()) not in path.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_loads_nothing_and_names_no_local_folder(name: str) -> None:
    text = (TARGET / f"{name}.html").read_text()
    assert "<script" not in text
    assert not re.search(r"https?://|url\(", text)
    assert {
        target for target in re.findall(r'(?:src|href)="([^"#]{1,60})', text) if not target.startswith("data:")
    } == {f"{other}.html" for other in NAMES if other != name}
    assert not re.search(r"(?<![\w.<])/(home|root|work|tmp|Users|var)/", text)
    assert len(text) < 300_000


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_the_current_cells_of_its_notebook(name: str) -> None:
    """Compares the cells only: outputs change with the lakehouse."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    bare = page(notebook, name, NAMES)
    text = (TARGET / f"{name}.html").read_text()

    def cells(html: str) -> list[str]:
        pattern = r'<div class="(?:text_cell_render[^"]*">.*?</div>|highlight[^>]*>.*?</pre>)'
        return re.findall(pattern, html, re.DOTALL)

    assert len(cells(bare)) == len(notebook.cells)
    assert cells(text) == cells(bare)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_from_top_to_bottom_without_a_warning(name: str, kernel_settings: Path) -> None:
    notebook = run(ROOT / "notebooks" / f"{name}.ipynb", kernel_settings)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output["text"] for output in outputs if output.get("name") == "stderr"]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= {"01": 1, "02": 3, "03": 4, "04": 7, "05": 2, "06": 2}[name[:2]]


@pytest.mark.slow
def test_jupyterlab_is_local_sends_nothing_and_starts_kernels_in_the_repository(
    kernel_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONWARNINGS")  # Jupyter's own warnings would keep it from stopping
    command = [sys.executable, "-m", "jupyterlab", "--config=notebooks/lab.json", "--no-browser", "--allow-root"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([*command, f"--port={port}"], cwd=kernel_settings, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        url = next(found[0] for line in server.stderr if (found := re.search(r"http://\S+token=\w+", line)))
        base, token = url.split("/lab/tree/")[0], url.split("token=")[1]
        assert base.startswith("http://127.0.0.1:")
        assert "/lab/tree/01_quickstart.ipynb?" in url

        def call(path: str, body: object = None) -> bytes:
            request = urllib.request.Request(base + path, headers={"Authorization": f"token {token}"})
            if body is not None:
                request.data = json.dumps(body).encode()
            with urllib.request.urlopen(request, timeout=30) as answer:
                return bytes(answer.read())

        for _ in range(100):  # the address is printed before the port is open
            with contextlib.suppress(urllib.error.URLError):
                call("/api")
                break
            time.sleep(0.2)
        assert b'"news": {"disabled": true}' in call("/lab")
        assert json.loads(call("/lab/api/update"))["notification"] is None
        listed = {entry["name"] for entry in json.loads(call("/api/contents"))["content"]}
        assert {f"{name}.ipynb" for name in NAMES} <= listed
        kernel = {"kernel": {"name": "python3"}, "name": "", "path": "01_quickstart.ipynb", "type": "notebook"}
        call("/api/sessions", kernel)
        deadline = time.monotonic() + 30
        folders: set[Path] = set()
        while ROOT not in folders and time.monotonic() < deadline:
            time.sleep(0.1)
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            folders = {Path(f"/proc/{child}/cwd").readlink() for child in children}
        assert ROOT in folders
    finally:
        server.terminate()
        try:
            server.wait(30)
        finally:
            server.kill()
            server.stderr.close()  # type: ignore[union-attr]
