"""A stand-in of the Hugging Face Hub's HTTP interface on this machine: it keeps what it is sent and gives what it holds."""

import base64
import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import re
import threading
from collections.abc import Iterator

COMMIT = "1" * 40


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the Hub does to a repository that is made, to a commit of small files, and to a download."""

    def do_POST(self):
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != "Bearer a-token":
            return self._answer(401, {"error": "who are you?"})
        if self.path == "/api/repos/create":
            self.server.made.append(json.loads(sent)["name"])
            return self._answer(200, {"url": f"{self.server.address}/me/student"})
        if self.path == "/api/validate-yaml":
            return self._answer(200, {"errors": [], "warnings": []})
        if self.path.endswith("/preupload/main"):
            files = [{"path": each["path"], "uploadMode": "regular"} for each in json.loads(sent)["files"]]
            return self._answer(200, {"files": [{**each, "shouldIgnore": False} for each in files]})
        for line in sent.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.server.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        address = f"{self.server.address}/me/student/commit/1"
        return self._answer(200, {"commitUrl": address, "commitOid": COMMIT, "success": True})

    def do_GET(self):
        files, path = self.server.files, self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        if "/me/student" not in path:
            return self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        if "/tree/" in path:
            return self._answer(
                200,
                [{"type": "file", "path": name, "size": len(files[name]), "oid": _oid(files[name])} for name in files],
            )
        if wanted := re.search(r"/resolve/[^/]+/(.+)", path):
            content = files[wanted[1]]
            return self._send(200, content, {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": COMMIT})
        return self._answer(
            200, {"id": "me/student", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
        )

    def do_HEAD(self):
        self.do_GET()

    def _answer(self, status, values, headers=None):
        self._send(status, json.dumps(values).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send(self, status, body, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments):
        """Says nothing."""


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@contextlib.contextmanager
def hub() -> Iterator[http.server.ThreadingHTTPServer]:
    """Runs the stand-in, with the names of repositories that were `made`, the `files` that it holds, and what it was `asked`."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.made, server.files, server.asked = [], {}, []
        server.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def environment(
    server: http.server.ThreadingHTTPServer, home: pathlib.Path, *, token: str = "a-token"
) -> dict[str, str]:
    """Returns the variables of a process for which the stand-in is the Hub; its package reads them when it is imported."""
    variables = {"HF_ENDPOINT": server.address, "HF_TOKEN": token, "HF_HOME": str(home), "no_proxy": "127.0.0.1"}
    return {**os.environ, **variables}
