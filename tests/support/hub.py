"""A small hub on this machine: as much of its interface as fetching and pushing a repository of models takes."""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from huggingface_hub import constants


class Repository:
    """Files of a branch, by name; each push is a commit."""

    def __init__(self, private):
        self.private, self.files, self.commits = private, {".gitattributes": b"*.bin lfs\n"}, 0

    @property
    def sha(self):
        return hashlib.sha1(repr((self.commits, sorted(self.files.items()))).encode()).hexdigest()  # noqa: S324


class Hub:
    def __init__(self):
        self.repositories, self.asked, self.tokens, self.refusal = {}, [], set(), None


def blob_id(content):
    return hashlib.sha1(content).hexdigest()  # noqa: S324


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.answer("POST", body)

    def do_GET(self):
        self.answer("GET", b"")

    def do_HEAD(self):
        self.answer("HEAD", b"")

    def answer(self, method, body):
        hub = self.server.hub
        path = self.path.split("?")[0]
        hub.asked.append((method, path))
        hub.tokens.add(self.headers.get("authorization"))
        if hub.refusal:
            return self.reply({"error": "no"}, hub.refusal)
        if path == "/api/repos/create":
            return self.create(json.loads(body))
        if path == "/api/validate-yaml":
            return self.reply({"errors": [], "warnings": []})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/([a-z]+)(?:/(.*))?)?", path):
            return self.of_repository(*found.groups(), body)
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.*)", path):
            return self.resolve(*found.groups())
        return self.reply({"error": "not found"}, 404)

    def create(self, asked):
        name = "/".join(filter(None, [asked.get("organization"), asked["name"]]))
        self.server.hub.repositories.setdefault(
            name, Repository(asked.get("private", asked.get("visibility") == "private"))
        )
        self.reply({"url": f"{self.server.url}/{name}", "id": name})

    def of_repository(self, name, what, rest, body):
        repository = self.server.hub.repositories.get(name)
        if repository is None:
            return self.reply({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        if what in (None, "revision"):
            siblings = [{"rfilename": file} for file in repository.files]
            return self.reply({"id": name, "sha": repository.sha, "siblings": siblings, "private": repository.private})
        if what == "tree":
            return self.reply([{"type": "file", "path": file, "size": len(content), "oid": blob_id(content)}
                               for file, content in repository.files.items()])  # fmt: skip
        if what == "preupload":
            files = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                     for one in json.loads(body)["files"]]  # fmt: skip
            return self.reply({"files": files})
        return self.commit(name, repository, body)

    def commit(self, name, repository, body):
        for line in body.decode().splitlines():
            one = json.loads(line)
            if one["key"] == "file":
                repository.files[one["value"]["path"]] = base64.b64decode(one["value"]["content"])
            elif one["key"] == "deletedFile":
                repository.files.pop(one["value"]["path"], None)
        repository.commits += 1
        url = f"{self.server.url}/{name}/commit/{repository.sha}"
        return self.reply({"commitUrl": url, "commitOid": repository.sha, "success": True})

    def resolve(self, name, revision, file):
        repository = self.server.hub.repositories.get(name)
        if repository is None:
            return self.reply({}, 404, {"X-Error-Code": "RepoNotFound"})
        if revision not in ("main", repository.sha):
            return self.reply({}, 404, {"X-Error-Code": "RevisionNotFound"})
        if file not in repository.files:
            return self.reply({}, 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repository.sha})
        content = repository.files[file]
        headers = {"ETag": f'"{blob_id(content)}"', "X-Repo-Commit": repository.sha}
        return self.send(content, 200, headers)

    def reply(self, value, status=200, headers=None):
        self.send(json.dumps(value).encode(), status, {"content-type": "application/json", **(headers or {})})

    def send(self, content, status, headers):
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(content)), "connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *words):
        pass


class Listening(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def small_hub(monkeypatch, cache):
    """Run a hub for a while, and let the library ask it, and nobody else."""
    server, hub = Listening(("127.0.0.1", 0), Handler), Hub()
    server.hub, server.url = hub, f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", "a-token")
    changed = {"HF_HUB_OFFLINE": False, "HF_HUB_CACHE": str(cache), "ENDPOINT": server.url}
    template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    for name, value in {**changed, "HUGGINGFACE_CO_URL_TEMPLATE": template}.items():
        monkeypatch.setattr(constants, name, value)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
