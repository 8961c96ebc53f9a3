"""What pylibmc (libmemcached) sees of a server, in the text and the binary protocol: the same of every one."""
import sys
import pylibmc

for binary in (False, True):
    c = pylibmc.Client([sys.argv[1]], binary=binary, behaviors={"cas": True, "tcp_nodelay": True, "no_block": False})
    c.flush_all()
    print(binary, c.set("a", "text"), c.get("a"), c.get("nope"), c.set("n", 41), c.incr("n"), c.decr("n", 2))
    print(c.add("a", 1), c.replace("a", ["a", {"list": 1}]), c.get("a"), c.append("s", "x"), c.set("s", "b"), c.append("s", "c"), c.prepend("s", "a"), c.get("s"))
    value, cas = c.gets("s")
    print(c.cas("s", "new", cas), c.get("s"), c.touch("s", 100), c.touch("nope", 100))
    print(c.set_multi({"k%d" % i: "v" * i for i in range(200)}), len(c.get_multi(["k%d" % i for i in range(300)])))
    print(c.delete("a"), c.delete("a"), c.delete_multi(["k1", "nope"]))
    print(c.set("big", "x" * 1000000), len(c.get("big")))
    print(sorted(name.decode() if isinstance(name, bytes) else name for name in c.get_stats()[0][1])[:3])
