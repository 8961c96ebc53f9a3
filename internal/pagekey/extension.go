package pagekey

// Extension returns the extension of a $uri by which nginx looks up the Content-Type in a `types` block, in lower
// case, or "" if it has none. It is what follows the last dot of the last segment, with one surprise: dots that the
// segment begins with do not count, up to three of them ("/.css", "/..css" and "/...css" have no extension, "/....css"
// has).
func Extension(uri string) string {
	start := extensionStart(uri)
	for i := start; i < len(uri); i++ {
		if lower(uri[i]) != uri[i] {
			return string(appendLower(nil, []byte(uri[start:])))
		}
	}
	return uri[start:]
}

// extensionStart returns the offset of the extension, or the length if there is none.
func extensionStart(uri string) int {
	dot, segment := -1, 0
	for i := len(uri) - 1; i >= 0 && segment == 0; i-- {
		switch {
		case uri[i] == '/':
			segment = i + 1
		case uri[i] == '.' && dot < 0:
			dot = i
		}
	}
	leading := segment
	for leading < len(uri) && leading < segment+3 && uri[leading] == '.' {
		leading++
	}
	if dot < leading {
		return len(uri)
	}
	return dot + 1
}
