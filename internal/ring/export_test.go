package ring

// Hashed tells whether what Next returned last was decided by the hash, and not by round robin.
func (w *Walk) Hashed() bool { return w.skips <= maxSkips }
