"""Stands before an SQS and writes down which action was asked for, of which queue."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

# IAM knows no batches: the action of one message covers them (SQS Developer Guide, "Amazon SQS API
# permissions: Actions and resource reference").
BATCHES = {
    "SendMessageBatch": "SendMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
}


class SqsWire:
    def __init__(self, sqs_url: str) -> None:
        self.asked: set[tuple[str, str]] = set()  # (IAM action, queue name)
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                wire.asked.add(_asked(self.headers["X-Amz-Target"], body))
                reply = requests.post(
                    sqs_url, data=body, headers=dict(self.headers.items()), timeout=60
                )
                self.send_response(reply.status_code)
                for name in ("Content-Type", "x-amzn-query-error"):
                    if value := reply.headers.get(name):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.content)))
                self.end_headers()
                self.wfile.write(reply.content)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _asked(target: str, body: bytes) -> tuple[str, str]:
    action = target.removeprefix("AmazonSQS.")
    content = json.loads(body)
    queue = content.get("QueueName") or content["QueueUrl"].rpartition("/")[2]
    return f"sqs:{BATCHES.get(action, action)}", queue
