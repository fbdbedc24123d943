"""transcript.py -- reads wire transcripts and replays one on a connection.

The language is described in tests/README.md.  A transcript is a list of
blocks: bytes to send at once, then what must come back.
"""

import re

ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
TARGETS = {"shard", "router"}
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)")
PLACE = re.compile(rb"\{([a-z])(\*\d+)?(:b64)?\}"
                   rb"|\[(.)\*(\d+)\]"
                   rb"|\$\{([a-z]+)([+-]\d+)?\}", re.DOTALL)


class BadTranscript(Exception):
    pass


class Wrong(Exception):
    """The server did not answer as the transcript says."""


class Block:
    """What is sent in one go, and what is expected after it."""

    def __init__(self):
        self.sent = b""
        self.expects = []  # (kind, bytes or pattern)


class Transcript:
    def __init__(self, file, line, title):
        self.file = file
        self.line = line
        self.title = title
        self.blocks = [Block()]
        self.counters = []  # (name, delta)
        self.only = None    # a target, or None for all
        self.differs = None  # why memcached answers otherwise
        self.alone = False  # reaches keys of other transcripts
        self.closes = False


def unescape(text):
    def one(match):
        what = match.group(1)
        if what[0] == "x" and len(what) == 3:
            return chr(int(what[1:], 16))
        if what not in ESCAPES:
            raise BadTranscript(f"unknown escape \\{what}")
        return ESCAPES[what]
    return ESCAPE.sub(one, text).encode("latin-1")


def set_note(script, text):
    word, _, rest = text.partition(" ")
    if word == "only" and rest in TARGETS:
        script.only = rest
    elif word == "differs:" and rest:
        script.differs = rest
    elif text == "alone":
        script.alone = True
    else:
        raise BadTranscript(f"unknown note: {text}")


def add_send(script, text):
    block = script.blocks[-1]
    if block.expects:
        block = Block()
        script.blocks.append(block)
    block.sent += unescape(text)


def add_counter(script, text):
    name, delta = text.split()
    script.counters.append((name, int(delta)))


def add_close(script, text):
    if text != "closed":
        raise BadTranscript(f"only 'closed' may follow ---, not {text}")
    script.closes = True


def add_expect(kind):
    def add(script, text):
        what = unescape(text) if kind == "bytes" else text.encode("latin-1")
        script.blocks[-1].expects.append((kind, what))
    return add


MARKS = {
    ">>>": add_send,
    "<<<": add_expect("bytes"),
    "<<~": add_expect("line"),
    "<<|": add_expect("until"),
    "+++": add_counter,
    "---": add_close,
    "###": set_note,
}


def load(path, name):
    """All transcripts of a file."""
    scripts = []
    with open(path) as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\n")
            mark, text = line[:3], line[4:]
            try:
                if mark == "===":
                    scripts.append(Transcript(name, number, text))
                elif mark in MARKS and scripts:
                    MARKS[mark](scripts[-1], text)
                elif line and not line.startswith("# "):
                    raise BadTranscript(f"unknown mark: {line}")
            except BadTranscript as bad:
                raise BadTranscript(f"{name}:{number}: {bad}") from None
    return scripts


class Replay:
    """One run of a transcript: its own keys, its own captured values.

    cut(index, data) says into which pieces block `index` is sent.
    """

    def __init__(self, script, serial, cut):
        self.script = script
        self.serial = serial
        self.cut = cut
        self.captured = {}
        self.sent_sizes = []

    def key(self, letter, size):
        """A key of this replay alone; all of a size are equally long."""
        return b"w%07x%s" % (self.serial, letter) + b"-" * (size - 9)

    def _place(self, match):
        letter, size, coded, fill, count, name, change = match.groups()
        if fill:
            return fill * int(count)
        if letter:
            key = self.key(letter, int(size[1:]) if size else 9)
            return b64(key) if coded else key
        value = int(self.captured[name.decode()])
        return b"%d" % (value + int(change or 0))

    def fill(self, template):
        return PLACE.sub(self._place, template)

    def run(self, client):
        """Raises Wrong.  Afterwards the client is in step, or closed."""
        for index, block in enumerate(self.script.blocks):
            data = self.fill(block.sent)
            self.sent_sizes.append(len(data))
            self._send(client, self.cut(index, data))
            for kind, what in block.expects:
                getattr(self, "_expect_" + kind)(client, what)
        if self.script.closes:
            client.expect_closed()
        else:
            client.expect_in_step()

    def _send(self, client, pieces):
        for index, piece in enumerate(pieces):
            if index > 0:
                client.settle()
            if not client.send(piece):
                if not self.script.closes:
                    raise Wrong("closed while we were sending")
                return

    def _expect_bytes(self, client, template):
        client.expect(self.fill(template))

    def _expect_line(self, client, pattern):
        line = client.line()
        self._match(pattern, line, f"line {line!r} does not match")

    def _expect_until(self, client, pattern):
        """Skips lines up to and including the first that matches."""
        for _ in range(10000):
            line = client.line()
            if re.fullmatch(self.fill(pattern), line):
                return
        raise Wrong(f"no line matched {pattern!r}")

    def _match(self, pattern, line, message):
        match = re.fullmatch(self.fill(pattern), line)
        if not match:
            raise Wrong(f"{message} {self.fill(pattern)!r}")
        self.captured.update(match.groupdict())


def b64(key):
    import base64
    return base64.b64encode(key)
