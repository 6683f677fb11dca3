package console

import "net/http"

// Explanation is what a cache says about a request that it has not been sent: what is stored, which
// rules apply, and what would happen. Its JSON form is for programs, its Lines for people.
type Explanation interface{ Lines() []string }

// explain returns what the cache of s says of r.
func (c *Console) explain(s *source, r *http.Request) Explanation {
	if c.cfg.Explain != nil {
		return c.cfg.Explain(s.cache, r)
	}
	return s.cache.Explain(r)
}
