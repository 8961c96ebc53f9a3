package ring

import (
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// pointsPerWeight is how many points nginx gives a server for each unit of its weight.
const pointsPerWeight = 160

// point is a place on the circle that belongs to a server.
type point struct {
	hash   uint32
	server uint16
}

// newPoints places the servers on the circle, in the manner of Cache::Memcached::Fast: each point's hash is the
// CRC-32 (IEEE) of host, a zero byte, port and the hash of the server's previous point in little endian, which is 0
// for the first. Of several points at one place the one of the first server stays.
func newPoints(servers []Server, total int) []point {
	points := make([]point, 0, total*pointsPerWeight)
	for i, s := range servers {
		host, port := splitAddr(s.Addr)
		base := crc32.ChecksumIEEE([]byte(host + "\x00" + port))
		var previous [4]byte
		for range s.Weight * pointsPerWeight {
			h := crc32.Update(base, crc32.IEEETable, previous[:])
			points = append(points, point{h, uint16(i)})
			binary.LittleEndian.PutUint32(previous[:], h)
		}
	}
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.hash, b.hash) })
	return slices.CompactFunc(points, func(a, b point) bool { return a.hash == b.hash })
}

// splitAddr parts the text of a server line into what nginx hashes as host and port. The port is empty for a unix
// socket, whose prefix is no part of the host, and for a text that does not end with a colon and digits.
func splitAddr(addr string) (host, port string) {
	const unix = "unix:"
	if len(addr) >= len(unix) && strings.EqualFold(addr[:len(unix)], unix) {
		return addr[len(unix):], ""
	}
	bare := strings.TrimRight(addr, "0123456789")
	if host, found := strings.CutSuffix(bare, ":"); found {
		return host, addr[len(bare):]
	}
	return addr, ""
}

// find returns the index of the first point at or after h; the number of points if there is none, which stands for the
// first point of all.
func find(points []point, h uint32) int {
	return sort.Search(len(points), func(i int) bool { return points[i].hash >= h })
}

// moduloHash returns the n-th hash of a key, in the manner of Cache::Memcached: 15 bits of the CRC-32 (IEEE) of the
// key, with n in decimal before it from the second hash on.
func moduloHash(n uint32, key []byte) uint32 {
	return crc32.Update(decimalHash[n], crc32.IEEETable, key) >> 16 & 0x7fff
}

// decimalHash holds the CRC-32 of each number that a walk can put before a key, and for 0 that of nothing: a walk
// hashes once for each server that it returns and for each step to one that cannot be used.
var decimalHash = func() (hashes [MaxServers + maxSkips + 1]uint32) {
	for n := 1; n < len(hashes); n++ {
		hashes[n] = crc32.ChecksumIEEE([]byte(strconv.Itoa(n)))
	}
	return hashes
}()
