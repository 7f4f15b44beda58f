"""Faults for ACAI's tests: a server whose line breaks, and exported models that are altered or damaged."""

import contextlib
import hashlib
import json
import shutil
import socket
import threading
import time
from pathlib import Path

import acai


@contextlib.contextmanager
def breaking(root, model, cuts):
    """The same server inside this process, with a line that breaks.

    cuts: file name -> bytes after which each of its next answers ends, one number an answer. Yields its address and
    the list of what was asked: (path, Range or None).
    """
    serve, asked = acai.module("serve"), []

    class Broken(serve.Handler):
        def file(self, path, body):
            self.name = path.name
            asked.append((path.name, self.headers.get("Range")))
            super().file(path, body)

        def pour(self, file, left):
            after = cuts.get(self.name)
            if not after:
                return super().pour(file, left)
            self.wfile.write(file.read(min(left, after.pop(0))))
            self.wfile.flush()
            time.sleep(0.4)  # what a reader has not taken when the line breaks is lost to it
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    server = serve.Server(0, Path(root), Path(model), [])
    server.RequestHandlerClass = Broken
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def altered(model, folder, file, change, *, told=True):
    """A copy of an exported model in ``folder`` with ``change(bytes) -> bytes`` applied to one file.

    told: the manifest knows of it (sizes and hashes follow); else the file is damaged.
    """
    shutil.copytree(model, folder)
    content = change((folder / file).read_bytes())
    (folder / file).write_bytes(content)
    if told:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf8"))
        manifest["files"][file] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf8")
    return folder
