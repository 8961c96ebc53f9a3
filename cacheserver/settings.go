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
	given := func(name, otherwise string) string { return cmp.Or(o.ext.given[name], otherwise) }
	kib := func(name, otherwise string) string {
		if n, err := strconv.Atoi(o.ext.given[name]); err == nil {
			return strconv.Itoa(n << 10)
		}
		return otherwise
	}
	freeRatio := "0.010"
	if f, err := strconv.ParseFloat(o.ext.given["slab_automove_freeratio"], 64); err == nil {
		freeRatio = strconv.FormatFloat(f, 'f', 3, 64)
	}
	had := func(name string) string { return yesNo(o.ext.given[name] != "") }
	ssl := &o.ext.ssl
	lines := [][2]string{
		{"maxbytes", strconv.FormatInt(o.memory<<20, 10)},
		{"maxconns", strconv.Itoa(o.maxConns)},
		{"tcpport", strconv.Itoa(o.port)},
		{"udpport", strconv.Itoa(o.udpPort)},
		{"inter", inter},
		{"verbosity", strconv.Itoa(o.verbose)},
		{"oldest", "0"},
		{"evictions", onOff(o.noEvict, "off", "on")},
		{"domain_socket", socket},
		{"umask", o.socketMode},
		{"shutdown_command", yesNo(o.shutdown)},
		{"growth_factor", decimals(o.factor)},
		{"chunk_size", strconv.Itoa(o.minSpace)},
		{"num_threads", strconv.Itoa(o.threads)},
		{"num_threads_per_udp", strconv.Itoa(o.threads)},
		{"stat_key_prefix", (o.delimiter + ":")[:1]},
		{"detail_enabled", yesNo(o.delimiter != "")},
		{"reqs_per_event", strconv.Itoa(o.maxRequests)},
		{"cas_enabled", yesNo(!o.noCAS)},
		{"tcp_backlog", strconv.Itoa(o.backlog)},
		{"binding_protocol", protocols[o.binding].name},
		{"auth_enabled_sasl", yesNo(o.sasl)},
		{"auth_enabled_ascii", authFile},
		{"item_size_max", strconv.Itoa(o.itemSizeMax)},
		{"maxconns_fast", yesNo(o.ext.maxConnsFast)},
		{"hashpower_init", strconv.Itoa(o.ext.hashPower)},
		{"slab_reassign", yesNo(!o.ext.noReassign)},
		{"slab_automove", strconv.Itoa(o.ext.automove.Level)},
		{"slab_automove_ratio", decimals(o.ext.automove.Ratio)},
		{"slab_automove_window", strconv.Itoa(o.ext.automove.Window)},
		{"slab_chunk_max", strconv.Itoa(o.ext.chunkMax << 10)},
		{"lru_crawler", yesNo(!o.ext.noCrawler)},
		{"lru_crawler_sleep", strconv.Itoa(o.ext.crawlerSleep)},
		{"lru_crawler_tocrawl", strconv.Itoa(o.ext.crawlerCrawl)},
		{"tail_repair_time", given("tail_repair_time", "0")},
		{"flush_enabled", yesNo(!o.noFlush)},
		{"dump_enabled", yesNo(!o.noDump)},
		{"hash_algorithm", "maphash"},
		{"lru_maintainer_thread", yesNo(!o.ext.noMaintainer)},
		{"lru_segmented", yesNo(o.ext.lru.Segmented)},
		{"hot_lru_pct", strconv.Itoa(o.ext.lru.HotPercent)},
		{"warm_lru_pct", strconv.Itoa(o.ext.lru.WarmPercent)},
		{"hot_max_factor", decimals(o.ext.lru.HotMaxFactor)},
		{"warm_max_factor", decimals(o.ext.lru.WarmMaxFactor)},
		{"temp_lru", yesNo(o.ext.lru.Temporary)},
		{"temporary_ttl", strconv.FormatInt(o.ext.lru.TemporaryTTL, 10)},
		{"idle_timeout", strconv.Itoa(o.ext.idleTimeout)},
		{"watcher_logbuf_size", strconv.Itoa(o.ext.watcherBuf << 10)},
		{"worker_logbuf_size", kib("worker_logbuf_size", "65536")},
		{"read_buf_mem_limit", strconv.Itoa(o.ext.replyMemory << 20)},
		{"track_sizes", yesNo(o.ext.trackSizes)},
		{"inline_ascii_response", "no"}, // memcached has it no longer either
		{"ext_item_size", strconv.Itoa(o.ext.disk.itemSize)},
		{"ext_item_age", strconv.Itoa(o.ext.disk.itemAge)},
		{"ext_low_ttl", strconv.Itoa(o.ext.disk.lowTTL)},
		{"ext_recache_rate", strconv.Itoa(o.ext.disk.recacheRate)},
		{"ext_wbuf_size", strconv.Itoa(o.ext.disk.bufferSize << 20)},
		{"ext_compact_under", strconv.Itoa(o.ext.disk.compactUnder)},
		{"ext_drop_under", strconv.Itoa(o.ext.disk.dropUnder)},
		{"ext_max_sleep", strconv.Itoa(o.ext.disk.maxSleep)},
		{"ext_max_frag", decimals(o.ext.disk.maxFrag)},
		{"slab_automove_freeratio", freeRatio},
		{"ext_drop_unread", yesNo(o.ext.disk.dropUnread)},
		{"ssl_enabled", yesNo(o.tls)},
		{"ssl_chain_cert", orNull(ssl.chainCert)},
		{"ssl_key", orNull(ssl.key)},
		{"ssl_verify_mode", strconv.Itoa(ssl.verifyMode)},
		{"ssl_keyformat", strconv.Itoa(o.ext.ssl.keyFormat)},
		{"ssl_ciphers", cmp.Or(o.ext.ssl.ciphers, "NULL")},
		{"ssl_ca_cert", cmp.Or(ssl.caCert, "NULL")},
		{"ssl_wbuf_size", kib("ssl_wbuf_size", "16384")},
		{"ssl_session_cache", yesNo(ssl.sessionCache)},
		{"ssl_kernel_tls", had("ssl_kernel_tls")},
		{"ssl_min_version", [...]string{"tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3"}[ssl.minVersion]},
		{"num_napi_ids", "0"},
		{"memory_file", orNull(o.memoryFile)},
		{"client_flags_size", "4"},
	}
	if o.ext.staleWindow > 0 { // what memcached does not have stands behind what it has
		lines = append(lines, [][2]string{{"stale_window", strconv.Itoa(o.ext.staleWindow)}, {"stale_retry", strconv.Itoa(o.ext.staleRetry)}}...)
	}
	if o.ext.pageKeys {
		lines = append(lines, [2]string{"page_keys", "yes"})
	}
	return lines
}
