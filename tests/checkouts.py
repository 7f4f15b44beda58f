"""A checkout of its own for a test that changes files or leaves runs behind."""

import subprocess

from llmini.settings import root


def linked(place, grid=None):
    """A checkout of links at ``place``, with nothing measured: code, notebooks, workflow and data but for the results.

    grid: the text of a grid.yaml of its own, in place of the committed one.
    """
    place.mkdir(parents=True, exist_ok=True)
    for name in ("lib", "notebooks", "requirements.lock"):
        (place / name).symlink_to(root() / name)
    for name, without in (("data", "results"), ("workflow", "grid.yaml" if grid else "")):
        (place / name).mkdir()
        for path in (root() / name).iterdir():
            if path.name != without:
                (place / name / path.name).symlink_to(path)
    if grid:
        (place / "workflow" / "grid.yaml").write_text(grid)
    return place


def checkout(place, without=("acai/", "tests/", "figures/")):
    """The files that git knows, as the working tree has them, but those below ``without``; weights are links."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=root(), capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        source, target = root() / name, place / name
        if not source.is_file() or name.startswith(without):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".safetensors":
            target.symlink_to(source)
        else:
            target.write_bytes(source.read_bytes())
    return place
