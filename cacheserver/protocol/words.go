package protocol

// maxTokens is how many words of a line memcached looks at, the command included; what follows them counts for nothing, but for
// the keys of a get.
const maxTokens = 23

// split cuts the words behind a command into w, as many as it has room for, and returns how many there are and the last of
// them: as many as memcached looks at.
func split(rest []byte, w [][]byte) (n int, last []byte) {
	for n < maxTokens-1 {
		var word []byte
		if word, rest = nextWord(rest); len(word) == 0 {
			break
		}
		if n < len(w) {
			w[n] = word
		}
		last = word
		n++
	}
	return n, last
}

// Words returns the words behind a command that memcached looks at.
func Words(rest []byte) []string {
	var all []string
	for len(all) < maxTokens-1 {
		var w []byte
		if w, rest = nextWord(rest); len(w) == 0 {
			break
		}
		all = append(all, string(w))
	}
	return all
}

// nextWord cuts a word off a line: words are parted by spaces.
func nextWord(line []byte) (word, rest []byte) {
	i := 0
	for i < len(line) && line[i] == ' ' {
		i++
	}
	j := i
	for j < len(line) && line[j] != ' ' {
		j++
	}
	return line[i:j], line[j:]
}

// Abbreviates tells whether a word is the beginning of a subcommand's name, which is what memcached takes for the name.
func Abbreviates(word, name string) bool { return len(word) <= len(name) && name[:len(word)] == word }
