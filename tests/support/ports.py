"""ports.py -- free TCP ports that no other test takes meanwhile.

Servers under test are given their port, so it must stay free from the moment
it is picked to the moment it is bound.  Ports come from below the range the
kernel uses for outgoing connections, and a lock on a file named after the
port, held by this process, keeps other tests off it.
"""

import fcntl
import os
import random
import socket
import tempfile

LOWEST, HIGHEST = 12000, 31000
_locks = {}


def _lock(port):
    folder = os.path.join(tempfile.gettempdir(), "torc-test-ports")
    os.makedirs(folder, exist_ok=True)
    handle = os.open(os.path.join(folder, str(port)),
                     os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return False
    _locks[port] = handle
    return True


def _is_free(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def take():
    """A port on 127.0.0.1 that stays ours until this process ends."""
    for _ in range(1000):
        port = random.randint(LOWEST, HIGHEST)
        if port not in _locks and _lock(port) and _is_free(port):
            return port
    raise RuntimeError(f"no free port between {LOWEST} and {HIGHEST}")
