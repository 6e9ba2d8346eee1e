<?php
// Shows what an API key may do, and replaces it. Reads COUNTERFOIL_URL, and the key from the file that
// KEY_FILE names, to which the new one is written. It needs nothing but PHP.
declare(strict_types=1);

$url = getenv('COUNTERFOIL_URL');
$keyFile = getenv('KEY_FILE');

// The answer, once there is one: after 429 and 503 the service says when to ask again.
function call(string $method, string $path, int $attempts = 3): array
{
    global $url, $keyFile;
    $options = [
        'method' => $method,
        'header' => 'X-API-Key: ' . file_get_contents($keyFile),
        'timeout' => 10,
        'ignore_errors' => true,
    ];
    $body = file_get_contents($url . $path, false, stream_context_create(['http' => $options]));
    $status = (int) explode(' ', $http_response_header[0] ?? 'HTTP/1.1 503')[1];
    if ($status < 300) {
        return json_decode($body, true, flags: JSON_THROW_ON_ERROR);
    }
    if (!in_array($status, [429, 503], true) || $attempts === 1) {
        fwrite(STDERR, "$status: $body\n");
        exit(1);
    }
    $waits = preg_grep('/^Retry-After:/i', $http_response_header);
    sleep((int) preg_replace('/\D/', '', (string) reset($waits)));
    return call($method, $path, $attempts - 1);
}

$current = call('GET', '/api-keys/current');
echo $current['name'], ', expires: ', substr($current['expires_at'] ?? 'never', 0, 10), "\n";
$new = call('POST', '/api-keys/current/rotate')['key'];
// Written beside and moved, so that the file never holds half of a key.
umask(0077);
file_put_contents("$keyFile.new", $new);
rename("$keyFile.new", $keyFile);
