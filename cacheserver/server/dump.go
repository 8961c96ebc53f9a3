package server

import (
	"fmt"

	"pagegate/cacheserver/store"
)

// dump is a list of the items that is under way: lru_crawler metadump, mgdump, and stats cachedump.
type dump struct {
	scan    store.Scanner
	classes map[int]bool // nil is all
	line    func(*output, []byte, store.ItemInfo)
	left    int64 // items that may still be listed; -1 is all
	end     string
}

// beginDump starts lru_crawler metadump or mgdump.
func (s *session) beginDump(classes string, keysOnly bool) {
	name, forbidden := "metadump", "ERROR metadump not allowed"
	if keysOnly {
		name, forbidden = "mgdump", "ERROR key dump not allowed"
	}
	ids, ok := parseClasses(classes)
	switch {
	case !s.srv.crawler.settings().On:
		s.say(errNoCrawler)
		return
	case s.srv.cfg.NoDump:
		s.say(forbidden)
		return
	case s.caller == nil:
		s.say("ERROR " + name + " needs a connection")
		return
	case !s.out.empty(): // memcached's crawler writes to the socket by itself
		s.say("ERROR cannot pipeline other commands before " + name)
		return
	case !ok:
		s.say("BADCLASS invalid class id")
		return
	}
	s.reply("OK")
	d := &dump{classes: ids, left: -1, line: s.srv.metadumpLine, end: "END"}
	if keysOnly {
		d.line, d.end = mgdumpLine, "EN"
	}
	s.dump = d
}

// dumpSome lists some items, as many as the client may be owed.
func (s *session) dumpSome() {
	d := s.dump
	for more := true; !s.out.full(); {
		more = d.left != 0 && s.srv.store.Scan(&d.scan, func(key []byte, it store.ItemInfo) {
			if d.left == 0 || d.classes != nil && !d.classes[it.Class] {
				return
			}
			if d.left > 0 {
				d.left--
			}
			d.line(&s.out, key, it)
		})
		if !more {
			s.dump = nil
			s.reply(d.end)
			return
		}
	}
}

// metadumpLine lists an item; the lines end without a carriage return, as memcached's.
func (s *Server) metadumpLine(o *output, key []byte, it store.ItemInfo) {
	exp, fetch := int64(-1), "no"
	if it.Exptime != 0 {
		exp = it.Exptime
	}
	if it.Fetched {
		fetch = "yes"
	}
	from := len(o.text)
	o.text = fmt.Appendf(o.text, "key=%s exp=%d la=%d cas=%d fetch=%s cls=%d size=%d flags=%d",
		uriEncode(key), exp, it.LastAccess, it.CAS, fetch, it.Class, it.Size+store.SizeGap, it.Flags)
	if it.OnDisk {
		o.text = fmt.Appendf(o.text, " ext_page=%d ext_offset=%d", it.DiskPage, it.DiskOffset)
	}
	o.text = append(o.text, '\n')
	o.appended(from)
}

// mgdumpLine lists an item as a command that gets it.
func mgdumpLine(o *output, key []byte, it store.ItemInfo) {
	o.begin()
	if it.BinaryKey {
		o.text = append(appendBase64(append(o.text, "mg "...), key), " b"...)
	} else {
		o.text = append(append(o.text, "mg "...), key...)
	}
	o.endLine()
}
