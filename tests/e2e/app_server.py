"""A small application with data: app_server.py HOST:PORT DATA REDIS_HOST:PORT.

Serves DATA below /data/; /count raises a counter in redis and answers it; /health is 200 as long as redis answers.
Ends at once when its data is not what it expects, as real servers do.
"""
import http.server
import os
import socket
import sys


def host_port(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


LISTEN, DATA, REDIS = host_port(sys.argv[1]), sys.argv[2], host_port(sys.argv[3])


def redis(*words):
    with socket.create_connection(REDIS, 2) as connection:
        connection.sendall(f"*{len(words)}\r\n".encode() + b"".join(
            b"$%d\r\n%s\r\n" % (len(word), word) for word in (w.encode() for w in words)))
        return connection.recv(4096).decode().strip()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            if self.path == "/health":
                return self.answer(200 if redis("PING") == "+PONG" else 503, b"")
            if self.path == "/count":
                return self.answer(200, redis("INCR", "count").lstrip(":").encode())
            with open(os.path.join(DATA, self.path.removeprefix("/data/")), "rb") as file:
                return self.answer(200, file.read())
        except FileNotFoundError:
            return self.answer(404, b"")
        except OSError:
            return self.answer(503, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


with open(os.path.join(DATA, "app.conf")) as file:
    if file.read() != "greeting = hello\n":
        sys.exit("app.conf is not mine")
http.server.ThreadingHTTPServer(LISTEN, Handler).serve_forever()
