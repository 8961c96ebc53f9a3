package store

import "fmt"

const (
	defaultMemoryLimit  = 64 << 20
	defaultItemSizeMax  = 1 << 20
	defaultKeyMax       = 250
	defaultChunkMin     = 48
	defaultGrowthFactor = 1.25
	defaultSlabChunkMax = 512 << 10

	largestItemSize = 1 << 30
	largestKeyMax   = 8192

	largestHashPower = 32
	// Two pages are the least with which an item of the largest default size and a small one can be there at the same time.
	leastMemory = 2 * pageSize
)

// complete puts the defaults in and checks the bounds.
func (c *Config) complete() error {
	setDefault(&c.MemoryLimit, defaultMemoryLimit)
	setDefault(&c.ItemSizeMax, defaultItemSizeMax)
	setDefault(&c.KeyMax, defaultKeyMax)
	setDefault(&c.ChunkMin, defaultChunkMin)
	setDefault(&c.GrowthFactor, defaultGrowthFactor)
	setDefault(&c.SlabChunkMax, defaultSlabChunkMax)
	setDefault(&c.StaleRetry, 1)
	if c.Now == nil {
		c.Now = systemTime
	}
	c.MemoryLimit = max(c.MemoryLimit, leastMemory)
	c.SlabChunkMax = min(c.SlabChunkMax, c.ItemSizeMax) &^ (chunkAlign - 1)
	switch {
	case c.MemoryLimit>>pageShift > maxPages:
		return fmt.Errorf("store: memory limit %d: at most %d", c.MemoryLimit, int64(maxPages)<<pageShift)
	case c.ItemSizeMax < 1<<10 || c.ItemSizeMax > largestItemSize:
		return fmt.Errorf("store: item size %d: must be 1 KiB to 1 GiB", c.ItemSizeMax)
	case c.KeyMax < 1 || c.KeyMax > largestKeyMax:
		return fmt.Errorf("store: key length %d: must be 1 to %d", c.KeyMax, largestKeyMax)
	case c.ChunkMin < 1 || c.ChunkMin > c.SlabChunkMax/2:
		return fmt.Errorf("store: smallest chunk %d: must be 1 to half of the largest (%d)", c.ChunkMin, c.SlabChunkMax)
	case c.HashPower < 0 || c.HashPower > largestHashPower:
		return fmt.Errorf("store: hash power %d: must be at most %d", c.HashPower, largestHashPower)
	case !(c.GrowthFactor > 1):
		return fmt.Errorf("store: growth factor %v: must be more than 1", c.GrowthFactor)
	case c.SlabChunkMax < 512 || c.SlabChunkMax > pageSize:
		return fmt.Errorf("store: largest chunk %d: must be 512 bytes to 1 MiB", c.SlabChunkMax)
	case c.ItemSizeMax > c.SlabChunkMax && c.KeyMax+headerMax > c.SlabChunkMax/2:
		return fmt.Errorf("store: largest chunk %d: too small for keys of %d bytes", c.SlabChunkMax, c.KeyMax)
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
