package main

import (
	"sync"
	"time"
)

// span is the time that an invalidation took.
type span struct{ begin, end time.Duration }

// invalidations are the hard and soft invalidations of one or more resources, oldest first. It is
// safe for concurrent use.
type invalidations struct {
	lock sync.Mutex
	hard []span
	soft []span
}

func (v *invalidations) add(s span, soft bool) {
	v.lock.Lock()
	defer v.lock.Unlock()
	list := &v.hard
	if soft {
		list = &v.soft
	}
	for len(*list) > 0 && s.end-(*list)[0].end > remembered {
		*list = (*list)[1:]
	}
	*list = append(*list, s)
}

// between returns the first invalidation that began after `said` and ended before `asked`. soft
// says which of the two kinds it looks for.
func (v *invalidations) between(said, asked time.Duration, soft bool) (span, bool) {
	v.lock.Lock()
	defer v.lock.Unlock()
	list := v.hard
	if soft {
		list = v.soft
	}
	for _, s := range list {
		if s.begin > said && s.end < asked {
			return s, true
		}
	}
	return span{}, false
}
