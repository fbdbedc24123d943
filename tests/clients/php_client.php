<?php
/* Run by foreign.py with host, port and kind of server.  Prints a line for
 * each case: "ok name", "not ok name: why" or "skip name: why". */

[$host, $port, $kind] = array_slice($argv, 1);
const LIMIT = 1 << 20;
const MULTI_COUNT = 100;

function connect(bool $silent = false): Memcached
{
    global $host, $port;
    $client = new Memcached();
    $client->setOption(Memcached::OPT_COMPRESSION, false);
    $client->setOption(Memcached::OPT_NOREPLY, $silent);
    $client->addServer($host, (int) $port);
    return $client;
}

function must(bool $truth, string $what): void
{
    if (!$truth) {
        throw new Exception($what);
    }
}

function pattern(int $size): string
{
    $bytes = "";
    for ($i = 0; $i < 251; $i++) {
        $bytes .= chr($i * 7 % 251);
    }
    return substr(str_repeat($bytes, intdiv($size, 251) + 1), 0, $size);
}

$cases = [];

$cases["stores and reads"] = function (Memcached $c) {
    must($c->set("php-plain", "value"), "set failed");
    must($c->get("php-plain") === "value", "get");
    must($c->get("php-none") === false, "get of a miss");
    must($c->getResultCode() === Memcached::RES_NOTFOUND, "code of a miss");
};

$cases["reads many"] = function (Memcached $c) {
    $items = [];
    for ($i = 0; $i < MULTI_COUNT; $i++) {
        $items["php-many-$i"] = "value of $i";
    }
    must($c->setMulti($items), "setMulti failed");
    $found = $c->getMulti(array_keys($items), Memcached::GET_PRESERVE_ORDER);
    must($found === $items, "getMulti");
};

$cases["compares and swaps"] = function (Memcached $c) {
    $c->set("php-cas", "one");
    $got = $c->get("php-cas", null, Memcached::GET_EXTENDED);
    must($got["value"] === "one", "get with its token");
    must($c->cas($got["cas"], "php-cas", "two"), "a fresh token failed");
    must(!$c->cas($got["cas"], "php-cas", "three"), "an old token stored");
    must($c->getResultCode() === Memcached::RES_DATA_EXISTS, "code of cas");
    must($c->get("php-cas") === "two", "get after cas");
};

$cases["counts"] = function (Memcached $c) {
    $c->set("php-count", 10);
    must($c->increment("php-count", 5) === 15, "increment");
    must($c->decrement("php-count", 7) === 8, "decrement");
    must($c->get("php-count") === 8, "get after counting");
};

$cases["touches"] = function (Memcached $c) {
    $c->set("php-touch", "x", 1);
    must($c->touch("php-touch", 100), "touch failed");
    must(!$c->touch("php-touch-none", 100), "touched a missing key");
    usleep(2200000);
    must($c->get("php-touch") === "x", "get after its first end");
};

$cases["deletes"] = function (Memcached $c) {
    $c->set("php-delete", "x");
    must($c->delete("php-delete"), "delete failed");
    must(!$c->delete("php-delete"), "deleted a missing key");
    must($c->add("php-delete", "y"), "add after delete failed");
    must(!$c->add("php-delete", "z"), "a second add stored");
};

$cases["keeps silent"] = function (Memcached $c) {
    $silent = connect(true);
    $silent->set("php-silent", "quiet");
    $silent->quit();
    usleep(100000);
    must($c->get("php-silent") === "quiet", "get after a silent set");
};

$cases["takes sizes"] = function (Memcached $c) use ($kind) {
    $sizes = [0, 1, 100000];
    if ($kind !== "stock") {
        $sizes[] = LIMIT;
    }
    foreach ($sizes as $size) {
        must($c->set("php-size", pattern($size)), "set of $size failed");
        must($c->get("php-size") === pattern($size), "$size bytes");
    }
};

$cases["refuses beyond the limit"] = function (Memcached $c) {
    $code = $c->set("php-beyond", pattern(LIMIT + 1));
    must($code === false, "1 MiB and a byte was stored");
    must($c->get("php-beyond") === false, "get of what was refused");
    must($c->set("php-after", "x"), "out of step after a refusal");
};

$cases["keeps types"] = function (Memcached $c) {
    $values = ["i" => 42, "f" => 1.5, "b" => true, "s" => "42",
               "a" => ["x" => [1, 2, null]]];
    foreach ($values as $name => $value) {
        $c->set("php-type-$name", $value);
        must($c->get("php-type-$name") === $value, "a value of kind $name");
    }
};

$cases["expires"] = function (Memcached $c) {
    $c->set("php-short", "x", 1);
    must($c->get("php-short") === "x", "get at once");
    usleep(2200000);
    must($c->get("php-short") === false, "get after 2.2 s of a life of 1 s");
};

foreach ($cases as $name => $case) {
    try {
        $case(connect());
        echo "ok $name\n";
    } catch (Exception $problem) {
        echo "not ok $name: " . $problem->getMessage() . "\n";
    }
}
