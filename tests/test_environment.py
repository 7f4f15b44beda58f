"""environment.yml, pyproject.toml and requirements.lock tell one story."""

import re
import tomllib

import yaml

from llmini.settings import root


def pins():
    lines = (root() / "requirements.lock").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_lock_is_exact_and_torch_comes_first():
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!]+", pin) for pin in pins())
    assert pins()[0].startswith("torch==")
    names = [canonical(pin.split("==")[0]) for pin in pins()]
    assert len(names) == len(set(names))


def test_lock_names_no_address():
    assert "://" not in (root() / "requirements.lock").read_text()


def test_every_dependency_is_locked():
    project = tomllib.loads((root() / "pyproject.toml").read_text())["project"]
    locked = {canonical(pin.split("==")[0]) for pin in pins()}
    assert {canonical(name) for name in project["dependencies"]} <= locked


def test_conda_installs_the_same_lock():
    environment = yaml.safe_load((root() / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip == ["-r requirements.lock", "-e ."]
    python = next(entry for entry in environment["dependencies"] if str(entry).startswith("python="))
    required = tomllib.loads((root() / "pyproject.toml").read_text())["project"]["requires-python"]
    assert python == "python=3.11" and required == ">=3.11"
