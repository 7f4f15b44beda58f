"""JupyterLab in Chromium, as a person uses it: every notebook is opened, all its cells are run, and none fails."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

import acai
from checkouts import checkout
from llmini.settings import root

BOOKS = sorted((path.relative_to(root()).as_posix() for path in (root() / "notebooks").rglob("*.ipynb")
                if ".ipynb_checkpoints" not in path.parts), key=lambda name: (name.count("/") == 1, name))  # fmt: skip
PATIENCE = 1_800_000  # ms: a training notebook beside other work
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab on a checkout of its own."""
    place = checkout(tmp_path_factory.mktemp("lab"), ("tests/", "figures/"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {**os.environ, "LLMINI_ROOT": str(place), "PYTHONPATH": str(place / "lib"), "OMP_NUM_THREADS": "1",
            "JUPYTER_CONFIG_DIR": str(place / ".jupyter"), "PYTHONWARNINGS": "ignore"}  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--port-retries=0",
               "--IdentityProvider.token=", "--expose-app-in-browser", "--ip=127.0.0.1"]  # fmt: skip
    with (place / "lab.log").open("w") as log:
        process = subprocess.Popen(command, cwd=place, env=told, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{url}api/status").close()
                break
            except OSError:
                assert process.poll() is None, (place / "lab.log").read_text()[-2000:]
                time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.parametrize("book", BOOKS)
def test_all_cells_run_without_an_error(lab, tmp_path, book):
    with acai.browser(tmp_path / "profile") as context:
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.goto(f"{lab}lab/tree/{book}?reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell")
        page.wait_for_function("window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status"
                               " === 'idle'")  # fmt: skip
        page.evaluate("window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.wait_for_function(DONE, timeout=PATIENCE)
        cells = json.loads(page.evaluate(CELLS))
        faults = [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
        assert faults == [], [(fault["ename"], fault["evalue"]) for fault in faults]
        assert all(cell["count"] for cell in cells)
        assert any("text/html" in output.get("data", {}) or "image/png" in output.get("data", {})
                   for cell in cells for output in cell["outputs"])  # fmt: skip
        page.evaluate("window.jupyterapp.serviceManager.sessions.shutdownAll()")


DONE = """() => {
  const book = window.jupyterapp.shell.currentWidget;
  const cells = book.content.widgets.map((cell) => cell.model)
    .filter((cell) => cell.type === 'code' && cell.sharedModel.source.trim());
  const failed = cells.some((cell) => cell.outputs.toJSON().some((one) => one.output_type === 'error'));
  const idle = book.sessionContext.session.kernel.status === 'idle';
  return failed || (idle && cells.every((cell) => cell.executionCount));
}"""
CELLS = """() => JSON.stringify(window.jupyterapp.shell.currentWidget.content.widgets.map((cell) => cell.model)
  .filter((cell) => cell.type === 'code' && cell.sharedModel.source.trim())
  .map((cell) => ({count: cell.executionCount, outputs: cell.outputs.toJSON()})))"""
