"""A small server on this machine that decides: both protocols, and the faults that real ones have."""

import json
import math
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LABELS = ("money", "parcel", "hello")
WORDS = {
    "money": ("refund", "invoice", "money"),
    "parcel": ("parcel", "order", "late"),
    "hello": ("hello", "hi", "day"),
}


def probabilities(text, labels=LABELS, sure=2.0):
    """What the model behind the server says: softmax of how often words of each label come."""
    z = [sure * sum(word in text.lower() for word in WORDS.get(label, ())) for label in labels]
    total = sum(map(math.exp, z))
    return {label: math.exp(value) / total for label, value in zip(labels, z, strict=True)}


class Server:
    """Faults, which a test sets while it runs; and what it was asked."""

    def __init__(self):
        self.sure, self.key = 2.0, None
        self.refusals = []  # (status, headers, body) of the next requests
        self.always = None  # the same for every request
        self.delay = 0.0
        self.change = lambda answer: answer
        self.requests = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.url = ""

    def asked(self):
        """The texts that were asked about, in order."""
        return [text_of(body) for body, _ in self.requests]

    def refusal(self):
        with self.lock:
            return self.always or (self.refusals.pop(0) if self.refusals else None)


def text_of(body):
    if "state" in body:
        return body["state"]
    return body["messages"][0]["content"].split("\n\n")[0]


def systemone(body, server):
    options = body["questions"]["label"]["criteria"]
    by_label = probabilities(body["state"], list(options), server.sure)
    best = max(by_label, key=by_label.get)
    answer = {"type": "choice", "choice": best, "confidence": by_label[best], "probabilities": by_label}
    usage = {"input_tokens": len(body["state"].split()), "output_tokens": 0}
    return {"model": body.get("model", "it"), "answers": {"label": answer}, "usage": usage}


def openai(body, server):
    """Letters of the options as tokens, some with a blank before them, and a token that is none."""
    text, question = body["messages"][0]["content"].split("\n\n", 1)
    lines = [line.split(". ", 1) for line in question.splitlines()[1:-1]]
    by_label = probabilities(text, [name.split(": ")[0] for _, name in lines], server.sure)
    tokens = []
    for (letter, _), p in zip(lines, by_label.values(), strict=True):
        tokens += [
            {"token": letter, "logprob": math.log(0.6 * p)},
            {"token": f" {letter}", "logprob": math.log(0.3 * p)},
        ]
    tokens.append({"token": "the", "logprob": math.log(0.1)})
    content = [{"token": "A", "logprob": -1.0, "top_logprobs": sorted(tokens, key=lambda one: -one["logprob"])}]
    usage = {"prompt_tokens": len(text.split()), "completion_tokens": 1}
    return {"choices": [{"message": {"content": "A"}, "logprobs": {"content": content}}], "usage": usage}


ANSWERS = {"/v1/systemone": systemone, "/v1/chat/completions": openai}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet
    disable_nagle_algorithm = True

    def do_POST(self):
        server = self.server.faults
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with server.lock:
            server.requests.append((body, dict(self.headers)))
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            time.sleep(server.delay)
            self.reply(body, server)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client waits no longer
        finally:
            with server.lock:
                server.at_once -= 1

    def reply(self, body, server):
        refused = server.refusal()
        if refused is None and server.key is not None and self.headers.get("authorization") != f"Bearer {server.key}":
            refused = (401, {}, '{"detail": "no such key"}')
        if refused is None and self.path not in ANSWERS:
            refused = (404, {}, "nothing is here")
        answer = "" if refused else json.dumps(server.change(ANSWERS[self.path](body, server)))
        status, headers, words = refused or (200, {}, answer)
        content = words.encode()
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(content)), "connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words):
        pass


class Listening(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # as many may ask at the same moment


@contextmanager
def deciding():
    """Run the server for a while."""
    server, faults = Listening(("127.0.0.1", 0), Handler), Server()
    server.faults, faults.url = faults, f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield faults
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
