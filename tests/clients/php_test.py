"""php-memcached, the extension most PHP sites use."""

import os
import sys

import foreign

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "php_client.php")

if __name__ == "__main__":
    sys.exit(foreign.main("php-memcached", ["php", SCRIPT]))
