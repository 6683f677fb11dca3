package mrc

import "time"

// windowLength is the time over which the requests that the small caches see are averaged.
const windowLength = 10 * time.Second

// window counts the requests that the small caches see.
type window struct {
	began   time.Time
	seen    float64
	lowered float64 // by what the rates are multiplied because of the number of requests: at most one
}

func newWindow(now time.Time) window { return window{began: now, lowered: 1} }

// add counts n more requests. It returns by what to multiply the rates: less than one if there are
// too many requests; more than one, after it was less, if there are few now.
func (w *window) add(n int, now time.Time, perSecond float64) (by float64) {
	w.seen += float64(n)
	length, most := now.Sub(w.began), perSecond*windowLength.Seconds()
	by = 1
	switch {
	case w.seen > most && length < windowLength:
		by = max(length.Seconds()/windowLength.Seconds(), 1./16)
	case length < windowLength:
		return 1
	case w.seen*windowLength.Seconds() < most/4*length.Seconds():
		by = min(2, 1/w.lowered)
	}
	if w.lowered *= by; w.lowered > 0.99 {
		w.lowered = 1
	}
	w.began, w.seen = now, 0
	return by
}
