<?php
// Stores pages where nginx, the filler and the gateway look for them. Arguments: the cache server's host and port.

// A page's key as nginx asks for it: the decoded path, a question mark, the arguments as they stand in the URL; then the
// bytes that a memcached key cannot hold, and the percent sign, as %XX.
function page_key(string $path, string $args = ''): string
{
    return preg_replace_callback('/[\x00-\x20%]/', fn($m) => sprintf('%%%02X', ord($m[0])), "$path?$args");
}

$cache = new Memcached();
$cache->setOption(Memcached::OPT_COMPRESSION, false); // nginx does not know PHP's own compression
$cache->addServer($argv[1], (int) $argv[2]);

$stored = $cache->set('/news?', '<h1>News</h1>', 300)
    && $cache->set(page_key('/coffee au lait', 'size=%20l'), '<h1>Coffee</h1>', 300);

// A gzip body needs bit 2 of the item's flags, which the extension uses for itself; the protocol is simple enough.
$socket = fsockopen($argv[1], (int) $argv[2]);
$body = gzencode('<h1>Zipped</h1>');
fwrite($socket, sprintf("set %s 2 300 %d\r\n%s\r\n", page_key('/zipped'), strlen($body), $body));
$stored = $stored && fgets($socket) === "STORED\r\n";

if (!$stored) {
    fwrite(STDERR, 'not stored: ' . $cache->getResultMessage() . "\n");
    exit(1);
}
