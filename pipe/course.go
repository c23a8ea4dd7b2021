package pipe

// PathBytes is how many bytes of a transfer took a path.
type PathBytes struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
}

// course is what paths a transfer has taken so far. The zero value is one that begins.
type course struct {
	parts []PathBytes
	from  int64  // the bytes before took parts
	left  string // the path of the bytes from there on; "" for that of the link there is
}

// leave notes that the link with the path is no more. Where the next one continues is not
// known yet.
func (c *course) leave(path string) {
	if c.left == "" {
		c.left = path
	}
}

// resume notes that the transfer continues at an offset over a new link.
func (c *course) resume(offset int64) {
	if c.left != "" {
		c.add(c.left, offset)
		c.left = ""
	}
}

// add notes that the bytes up to offset took the path.
func (c *course) add(path string, offset int64) {
	n := offset - c.from
	if n <= 0 {
		return
	}
	c.from = offset
	for i := range c.parts {
		if c.parts[i].Path == path {
			c.parts[i].Bytes += n
			return
		}
	}
	c.parts = append(c.parts, PathBytes{path, n})
}

// end returns the paths of a transfer whose last link has the path, nil if they are one.
func (c *course) end(path string, bytes int64) []PathBytes {
	c.add(path, bytes)
	if len(c.parts) < 2 {
		return nil
	}
	return c.parts
}
