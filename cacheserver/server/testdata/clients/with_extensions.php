<?php
// What PHP's two extensions see of a server: the same of every one.
[$host, $port] = explode(':', $argv[1]);

foreach ([false, true] as $binary) {
    $m = new Memcached();
    $m->setOption(Memcached::OPT_BINARY_PROTOCOL, $binary);
    $m->addServer($host, (int) $port);
    $m->flush();
    var_dump($m->set('a', ['x' => 1]), $m->get('a'), $m->get('nope'), $m->getResultMessage());
    var_dump($m->add('a', 1), $m->replace('a', str_repeat('long ', 50000)), strlen($m->get('a')));
    var_dump($m->set('n', 5), $m->increment('n', 3), $m->decrement('n', 100), $m->touch('n', 100));
    var_dump($m->setMulti(['k1' => 1, 'k2' => 'two']), $m->getMulti(['k1', 'k2', 'k3']), $m->deleteMulti(['k1', 'k3']));
    $got = $m->get('k2', null, Memcached::GET_EXTENDED);
    var_dump($m->cas($got['cas'], 'k2', 'swapped'), $m->cas($got['cas'], 'k2', 'again'), $m->get('k2'));
    $m->setOption(Memcached::OPT_COMPRESSION, false);
    var_dump($m->set('s', 'b'), $m->append('s', 'c'), $m->prepend('s', 'a'), $m->get('s'), $m->delete('s'), $m->delete('s'));
}

$m = new Memcache();
$m->addServer($host, (int) $port);
var_dump($m->set('old', 'value', 0, 100), $m->get('old'), $m->get(['old', 'nope']), $m->add('old', 1), $m->replace('old', 'x'));
var_dump($m->set('n', 5), $m->increment('n', 3), $m->decrement('n', 100), $m->delete('n'), $m->get('n'), $m->flush());
