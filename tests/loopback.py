"""A server on this machine that speaks the chat completions protocol, for tests of teachers."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from distillkit.problems.equations import make_problem
from distillkit.traces.templates import THINK, render_solution


class API:
    """A server on the loopback interface that speaks the chat completions protocol.

    `behave(request, count)` returns what to answer: None for a right solution, a dictionary as
    the JSON body, or (status, headers, body).  `count` is the number of requests before.
    """

    def __init__(self):
        self.requests, self.behave, self.port = [], lambda request, count: None, 0
        self.lock = threading.Lock()
        self.start()

    def start(self):
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = {"path": self.path, "headers": headers, **body}
                with api.lock:
                    api.requests.append(request)
                    count = len(api.requests) - 1
                answer = api.behave(request, count)
                answer = completion(request) if answer is None else answer
                status, headers, body = answer if isinstance(answer, tuple) else (200, {}, answer)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                default = {"Content-Type": "application/json", "Content-Length": len(data)}
                self.send_response(status)
                for name, value in (default | headers).items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(data)

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """A client that gave up is no error here."""

        self.http = Quiet(("127.0.0.1", self.port), Handler)
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def asked(self):
        """What was asked for: (question, seed)."""
        return [(request["messages"][-1]["content"], request["seed"]) for request in self.requests]


def question(request):
    return request["messages"][-1]["content"]


def right(request, template=THINK):
    """The right solution of the question that is asked."""
    return render_solution(make_problem(question(request).rpartition(": ")[2]), template)


def completion(request, text=None, **choice):
    """A right answer in OpenAI's form."""
    if text is None:
        text = right(request)
    choice = {"index": 0, "message": {"role": "assistant", "content": text},
              "finish_reason": "stop"} | choice  # fmt: skip
    return {"id": "c1", "object": "chat.completion", "created": 0, "model": request["model"],
            "choices": [choice],
            "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}}  # fmt: skip


def failure(status, message, **headers):
    """An error in OpenAI's form, with hardly any pause before the client tries again."""
    headers = {"retry-after-ms": "5"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return status, headers, {"error": {"message": message, "type": "error", "code": status}}
