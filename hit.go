package cirque

// Hit returns the body to serve: the stored one, or after StartFill the reader of that fill. It may
// be nil. FinishHit closes it.
func (c *HttpCache) Hit() HitHandler { return c.hit }

// TakeHit returns the open body, or nil. The caller now owns it and must close it.
func (c *HttpCache) TakeHit() HitHandler {
	c.require(opTakeHit)
	hit := c.hit
	c.hit = nil
	return hit
}

// HitStatus returns the status that Found was given; zero before.
func (c *HttpCache) HitStatus() HitStatus { return c.hitStatus }

// FinishHit closes the body.
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

// dropHit gives up the entry that was found.
func (c *HttpCache) dropHit() {
	_ = c.closeHit()
	c.meta = nil
}
