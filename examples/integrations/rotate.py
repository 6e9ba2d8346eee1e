"""Shows what an API key may do, and replaces it.

Reads COUNTERFOIL_URL, and the key from the file that KEY_FILE names, to which the new one is
written. It needs nothing but Python.
"""

import json
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

URL = os.environ["COUNTERFOIL_URL"]
KEY_FILE = Path(os.environ["KEY_FILE"])


def call(method: str, path: str, attempts: int = 3) -> Any:
    """The answer, once there is one: after 429 and 503 the service says when to ask again."""
    headers = {"X-API-Key": KEY_FILE.read_text()}
    request = urllib.request.Request(URL + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code not in {429, 503} or attempts == 1:
            raise SystemExit(f"{error.code}: {error.read().decode()}") from None
        time.sleep(int(error.headers["Retry-After"]))
    return call(method, path, attempts - 1)


current = call("GET", "/api-keys/current")
print(f"{current['name']}, expires: {(current['expires_at'] or 'never')[:10]}")
new = call("POST", "/api-keys/current/rotate")["key"]
# Written beside and moved, so that the file never holds half of a key.
beside = KEY_FILE.with_suffix(".new")
beside.touch(mode=0o600)
beside.write_text(new)
beside.replace(KEY_FILE)
