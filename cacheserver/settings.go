package main

import (
	"cmp"
	"strconv"
)

// settings are the lines of `stats settings`, by memcached's names and in its order, for the flags that there are.
func (o *options) settings() [][2]string {
	onOff := func(b bool, yes, no string) string {
		if b {
			return yes
		}
		return no
	}
	yesNo := func(b bool) string { return onOff(b, "yes", "no") }
	decimals := func(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }
	orNull := func(s string) string { return cmp.Or(s, "(null)") } // as C prints it
	inter, socket, authFile := o.addresses, o.socket, o.authFile
	if authFile == "" {
		authFile = "no"
	}
	if inter == "" {
		inter = "NULL"
	}
	if socket == "" {
		socket = "NULL"
	}
	return [][2]string{
		{"maxbytes", strconv.FormatInt(o.memory<<20, 10)},
		{"maxconns", strconv.Itoa(o.maxConns)},
		{"tcpport", strconv.Itoa(o.port)},
		{"udpport", strconv.Itoa(o.udpPort)},
		{"inter", inter},
		{"verbosity", strconv.Itoa(o.verbose)},
		{"evictions", onOff(o.noEvict, "off", "on")},
		{"domain_socket", socket},
		{"umask", o.socketMode},
		{"shutdown_command", yesNo(o.shutdown)},
		{"growth_factor", decimals(o.factor)},
		{"chunk_size", strconv.Itoa(o.minSpace)},
		{"num_threads", strconv.Itoa(o.threads)},
		{"num_threads_per_udp", strconv.Itoa(o.threads)},
		{"reqs_per_event", strconv.Itoa(o.maxRequests)},
		{"cas_enabled", yesNo(!o.noCAS)},
		{"tcp_backlog", strconv.Itoa(o.backlog)},
		{"binding_protocol", protocols[o.binding].name},
		{"auth_enabled_sasl", yesNo(o.sasl)},
		{"auth_enabled_ascii", authFile},
		{"item_size_max", strconv.Itoa(o.itemSizeMax)},
		{"maxconns_fast", yesNo(o.ext.maxConnsFast)},
		{"slab_chunk_max", strconv.Itoa(o.ext.chunkMax << 10)},
		{"detail_enabled", yesNo(o.delimiter != "")},
		{"stat_key_prefix", (o.delimiter + ":")[:1]},
		{"lru_crawler", yesNo(!o.ext.noCrawler)},
		{"lru_crawler_sleep", strconv.Itoa(o.ext.crawlerSleep)},
		{"lru_crawler_tocrawl", strconv.Itoa(o.ext.crawlerCrawl)},
		{"watcher_logbuf_size", strconv.Itoa(o.ext.watcherBuf << 10)},
		{"watch_enabled", yesNo(!o.noWatch)},
		{"stale_window", strconv.Itoa(o.ext.staleWindow)},
		{"stale_retry", strconv.Itoa(o.ext.staleRetry)},
		{"flush_enabled", yesNo(!o.noFlush)},
		{"dump_enabled", yesNo(!o.noDump)},
		{"slab_reassign", yesNo(!o.ext.noReassign)},
		{"slab_automove", strconv.Itoa(o.ext.automove.Level)},
		{"slab_automove_ratio", decimals(o.ext.automove.Ratio)},
		{"slab_automove_window", strconv.Itoa(o.ext.automove.Window)},
		{"lru_maintainer_thread", yesNo(!o.ext.noMaintainer)},
		{"lru_segmented", yesNo(o.ext.lru.Segmented)},
		{"hot_lru_pct", strconv.Itoa(o.ext.lru.HotPercent)},
		{"warm_lru_pct", strconv.Itoa(o.ext.lru.WarmPercent)},
		{"hot_max_factor", decimals(o.ext.lru.HotMaxFactor)},
		{"warm_max_factor", decimals(o.ext.lru.WarmMaxFactor)},
		{"temp_lru", yesNo(o.ext.lru.Temporary)},
		{"temporary_ttl", strconv.FormatInt(o.ext.lru.TemporaryTTL, 10)},
		{"idle_timeout", strconv.Itoa(o.ext.idleTimeout)},
		{"page_keys", yesNo(o.ext.pageKeys)},
		{"memory_file", orNull(o.memoryFile)},
		{"ssl_enabled", yesNo(o.tls)},
	}
}
