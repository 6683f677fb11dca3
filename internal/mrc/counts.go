package mrc

// amount is a number of requests, and of the bytes of their bodies.
type amount struct{ requests, bytes float64 }

// add adds as many requests for so many bytes.
func (a *amount) add(requests, bytes float64) {
	a.requests += requests
	a.bytes += requests * bytes
}

func (a amount) plus(b amount) amount  { return amount{a.requests + b.requests, a.bytes + b.bytes} }
func (a amount) minus(b amount) amount { return amount{a.requests - b.requests, a.bytes - b.bytes} }
func (a amount) half() amount          { return amount{a.requests / 2, a.bytes / 2} }

// counts are of requests, and of those that the cache has missed.
type counts struct{ all, missed amount }

func (c counts) minus(d counts) counts { return counts{c.all.minus(d.all), c.missed.minus(d.missed)} }
func (c counts) half() counts          { return counts{c.all.half(), c.missed.half()} }
