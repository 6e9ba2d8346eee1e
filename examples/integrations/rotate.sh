#!/bin/sh
# Shows what an API key may do, and replaces it: rotate.sh
# Reads COUNTERFOIL_URL, and the key from the file that KEY_FILE names, to which the new one is written.
set -eu
key=$(cat "$KEY_FILE")

# --retry waits as long as Retry-After says, after 429 and 503.
call() {
    curl --silent --show-error --fail-with-body --max-time 10 --retry 3 \
        --header "X-API-Key: $key" --request "$1" "$COUNTERFOIL_URL$2"
}

current=$(call GET /api-keys/current)
echo "$current" | sed 's/.*"name":"\([^"]*\)".*"expires_at":"*\([0-9nul-]*\).*/\1, expires: \2/; s/: null$/: never/'
# Not in a pipe, which would hide that the call has failed, and take its message for a key.
new=$(call POST /api-keys/current/rotate)
new=$(echo "$new" | sed 's/.*"key":"\([^"]*\)".*/\1/')
# Written beside and moved, so that the file never holds half of a key.
(umask 077 && printf '%s' "$new" >"$KEY_FILE.new")
mv "$KEY_FILE.new" "$KEY_FILE"
