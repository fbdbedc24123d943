"""rawclient.py -- a memcached connection that hides nothing.

What is sent is what was given, what is read is what came; answers are
understood only as far as a test needs to know where one ends.
"""

import socket


class Closed(Exception):
    """The server ended the connection; `got` is what came before."""

    def __init__(self, got=b""):
        super().__init__(f"closed after {got[-200:]!r}")
        self.got = got


class Client:
    """where: "host:port" or the path of a unix socket."""

    def __init__(self, where, timeout_s=10):
        if where.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(timeout_s)
            self.socket.connect(where)
        else:
            host, port = where.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)),
                                                   timeout_s)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed(self.buffer)
        self.buffer += data

    def read(self, size):
        while len(self.buffer) < size:
            self._more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read_line(self):
        """One line with its ending."""
        while b"\n" not in self.buffer:
            self._more()
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    def read_until(self, ending):
        """All lines up to and including the first that is `ending`."""
        lines = []
        while not lines or lines[-1] != ending:
            lines.append(self.read_line())
        return lines

    def is_closed(self):
        """Waits for the end of the stream; False if bytes come instead."""
        try:
            self._more()
        except Closed:
            return not self.buffer
        return False

    def command(self, data):
        """Sends and returns the one line that comes back, without ending."""
        self.send(data)
        return self.read_line().rstrip(b"\r\n")

    def set(self, key, value, flags=0, ttl=0):
        head = b"set %s %d %d %d\r\n" % (key, flags, ttl, len(value))
        return self.command(head + value + b"\r\n")

    def read_values(self):
        """{key: value} up to END; any other line is returned as the error."""
        found = {}
        while True:
            line = self.read_line().rstrip(b"\r\n")
            if line == b"END":
                return found, None
            if not line.startswith(b"VALUE "):
                return found, line
            words = line.split()
            found[words[1]] = self.read(int(words[3]) + 2)[:-2]

    def get_many(self, keys):
        self.send(b"get " + b" ".join(keys) + b"\r\n")
        return self.read_values()

    def get(self, key):
        """The value, or None for a miss; an error line raises."""
        found, error = self.get_many([key])
        if error is not None:
            raise ValueError(error.decode(errors="replace"))
        return found.get(key)

    def stats(self, what=b""):
        """{name: value} of `stats`, as text."""
        self.send(b"stats " + what + b"\r\n" if what else b"stats\r\n")
        found = {}
        while True:
            line = self.read_line().decode().rstrip("\r\n")
            if not line.startswith("STAT "):
                return found
            _, name, value = (line + " ").split(" ", 2)
            found[name] = value.rstrip(" ")
