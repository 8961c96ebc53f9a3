"""What pymemcache sees of a server: the same of every one."""
import sys
from pymemcache.client.base import Client
from pymemcache.client.hash import HashClient

host, port = sys.argv[1].split(":")
c = Client((host, int(port)), timeout=10, connect_timeout=10)
print(c.set("a", "1", noreply=False), c.get("a"), c.gets("a")[0], c.get("nope"))
print(c.add("a", "2", noreply=False), c.replace("a", "3", noreply=False), c.append("a", "4", noreply=False), c.prepend("a", "2", noreply=False))
print(c.incr("a", 5), c.decr("a", 1000), c.incr("nope", 1))
value, cas = c.gets("a")
print(c.cas("a", "x" * 100000, cas, noreply=False), c.cas("a", "y", cas, noreply=False), len(c.get("a")))
print(c.touch("a", 100, noreply=False), c.touch("nope", noreply=False))
print(c.set_many({"k%d" % i: "v%d" % i for i in range(100)}, noreply=False))
print(sorted(c.get_many(["k%d" % i for i in range(0, 200, 7)]).items()))
print(c.delete("a", noreply=False), c.delete("a", noreply=False), c.delete_many(["k1", "k2", "nope"], noreply=False))
try:
    c.set("big", "x" * (2 << 20), noreply=False)
except Exception as e:
    print(type(e).__name__, e)
print(c.flush_all(noreply=False), c.get("k3"), c.version()[:4])
h = HashClient([(host, int(port))], timeout=10, connect_timeout=10)
print(h.set("h", "1"), h.get("h"))
