package server

// fetch lets a connection wait until the values that it is owed have been read from disk. b is what was read from it and not used yet.
func (w *worker) fetch(c *conn, b []byte) {
	c.left = append(c.left[:0], b...)
	c.fetching = true
	c.noteState()
	w.fetching.Add(1)
	c.startLoads(func() {
		w.mu.Lock()
		w.fetched = append(w.fetched, c)
		w.mu.Unlock()
		w.signal() // before Done: behind that the worker's set may be closed
		w.fetching.Done()
	})
}

// endFetch takes a connection back for which fetch is done, and tells whether it is still there. Nothing of what it is owed was
// being sent meanwhile.
func (w *worker) endFetch(c *conn) bool {
	c.fetching = false
	c.endLoads()
	if c.ended {
		c.session.end()
	}
	return !c.ended
}

// goOnFetched answers what has waited for the disk, then goes on; false when the connection is over.
func (w *worker) goOnFetched(c *conn) bool {
	w.buf = append(w.buf[:0], c.left...)
	more, ok := w.answer(c, w.buf)
	if ok && more {
		return w.work(c, w.buf)
	}
	return ok
}
