package cirque

// Hit returns the body to serve from: the stored one, or after StartFill the reader of that fill.
// Nil where there is none. FinishHit closes it.
func (c *HttpCache) Hit() HitHandler { return c.hit }

// TakeHit hands the open body over to the caller, who closes it; nil where there is none.
func (c *HttpCache) TakeHit() HitHandler {
	c.require(opTakeHit)
	hit := c.hit
	c.hit = nil
	return hit
}

// HitStatus returns what Found was told; zero before.
func (c *HttpCache) HitStatus() HitStatus { return c.hitStatus }

// FinishHit ends the reading of the body.
func (c *HttpCache) FinishHit() error {
	c.require(opFinishHit)
	return c.closeHit()
}

func (c *HttpCache) closeHit() error {
	hit := c.hit
	c.hit = nil
	if hit == nil {
		return nil
	}
	return hit.Close()
}

// dropHit gives up what was found.
func (c *HttpCache) dropHit() {
	_ = c.closeHit()
	c.meta = nil
}
