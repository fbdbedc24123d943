"""fakes.py -- servers that lie, on threads of the test itself."""

import http.server
import socket
import threading


class FakeMemcached:
    """A little memcached: every key holds b"value of <key>".

    `mischief` is a function (connection, command words) called instead of the
    honest answer to a get; None is honesty.  Returning False hangs up.
    """

    def __init__(self):
        self.mischief = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.gets = 0
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    @staticmethod
    def value_of(key):
        return b"value of " + key

    @classmethod
    def answer_of(cls, key):
        value = cls.value_of(key)
        return b"VALUE %s 0 %d\r\n%s\r\n" % (key, len(value), value)

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,),
                             daemon=True).start()

    def _serve(self, connection):
        stream = connection.makefile("rb")
        with connection:
            try:
                while self._answer(connection, stream):
                    pass
            except OSError:
                pass

    def _answer(self, connection, stream):
        words = stream.readline().split()
        if not words:
            return False
        if words[0] in (b"get", b"gets"):
            self.gets += 1
            if self.mischief is not None:
                return self.mischief(connection, words) is not False
            connection.sendall(b"".join(self.answer_of(key)
                                        for key in words[1:]) + b"END\r\n")
        elif words[0] == b"set":
            stream.read(int(words[4]) + 2)
            connection.sendall(b"STORED\r\n")
        else:
            connection.sendall(b"ERROR\r\n")
        return True

    def close(self):
        self.listener.close()


class LyingMemcached(FakeMemcached):
    """A true little memcached, but for now and then one kind of lie."""

    LIES = ("gives an older value", "revives a deleted key",
            "gives another key's value", "damages a value",
            "answers out of turn", "forgets an answer's end")
    EVERY = 50  # answers between two lies

    def __init__(self, lie):
        self.lie = lie
        self.values = {}  # key -> all values it ever had; None: deleted
        self.count = 0
        self.lock = threading.Lock()
        super().__init__()

    def _answer(self, connection, stream):
        words = stream.readline().split()
        if not words:
            return False
        with self.lock:
            self.count += 1
            lie = self.lie if self.count % self.EVERY == 0 else None
            if words[0] == b"set":
                value = stream.read(int(words[4]) + 2)[:-2]
                self.values.setdefault(words[1], []).append(value)
                answer = b"STORED\r\n"
            elif words[0] == b"delete":
                self.values.setdefault(words[1], []).append(None)
                answer = b"DELETED\r\n"
            else:
                answer = self._get(words[1], lie)
        if lie == "answers errors":
            answer = b"SERVER_ERROR for no reason\r\n"
        elif lie == "answers out of turn":
            answer = b"STORED\r\n" if words[0] == b"get" else b"END\r\n"
        connection.sendall(answer)
        return True

    def _get(self, key, lie):
        history = self.values.get(key, [None])
        value = history[-1]
        kept = [old for old in history[:-1] if old is not None]
        if lie == "gives an older value" and kept and value is not None:
            value = kept[-1]
        elif lie == "revives a deleted key" and value is None and kept:
            value = kept[-1]
        elif lie == "gives another key's value":
            value = next((them[-1] for name, them in self.values.items()
                          if name != key and them[-1] is not None), value)
        if value is None:
            return b"END\r\n"
        if lie == "damages a value":
            value = value[:-1] + bytes([value[-1] ^ 1])
        end = b"" if lie == "forgets an answer's end" else b"END\r\n"
        return b"VALUE %s 0 %d\r\n%s\r\n%s" % (key, len(value), value, end)


class FakeRingd:
    """Serves the lines of `lines`, one by one as they are added, to each that
    watches the ring; keeps the bodies of all acknowledgements."""

    def __init__(self):
        self.lines = []
        self.acks = []
        self.changed = threading.Condition()
        handler = type("Handler", (_RingHandler,), {"ringd": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def push(self, line):
        with self.changed:
            self.lines.append(line.encode() + b"\n")
            self.changed.notify_all()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class _RingHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = 0
        try:
            while True:
                with self.ringd.changed:
                    self.ringd.changed.wait_for(
                        lambda: len(self.ringd.lines) > sent)
                    line = self.ringd.lines[sent]
                sent += 1
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        except OSError:
            self.close_connection = True

    def do_POST(self):
        size = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size).decode(errors="replace")
        with self.ringd.changed:
            self.ringd.acks.append(body)
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()
