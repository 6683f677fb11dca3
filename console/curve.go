package console

import (
	"fmt"
	"math"

	"github.com/cirquecache/cirque/stats"
)

// curve is what other limits would do.
type curve struct {
	Limit    int64        `json:"limit"` // today's
	Points   []curvePoint `json:"points"`
	Sentence string       `json:"sentence"`
}

type curvePoint struct {
	Size      int64  `json:"size"`
	HitRatio  number `json:"hit_ratio"`
	ByteRatio number `json:"byte_ratio"`
}

// curveOf returns the curve of s; nil if it has none.
func curveOf(s *stats.Snapshot) *curve {
	if len(s.Curve) == 0 {
		return nil
	}
	c := &curve{Limit: limitOf(s)}
	for _, p := range s.Curve {
		c.Points = append(c.Points, curvePoint{p.Size, number(p.HitRatio), number(p.ByteHitRatio)})
	}
	c.Sentence = c.sentence()
	return c
}

// limitOf returns the limit that the curve is about: the memory's.
func limitOf(s *stats.Snapshot) int64 {
	switch {
	case s.Eviction != nil && s.Eviction.Limit > 0:
		return s.Eviction.Limit
	case len(s.Storage) > 0:
		return s.Storage[0].Limit
	}
	return 0
}

// sentence says what twice the memory, and half of it, would do.
func (c *curve) sentence() string {
	today, ok := c.at(c.Limit)
	if !ok {
		return ""
	}
	twice, more := c.at(2 * c.Limit)
	half, less := c.at(c.Limit / 2)
	text := ""
	if more {
		if gain := percent(twice) - percent(today); gain > 0 {
			text = fmt.Sprintf("Twice the memory: %d %% hits instead of %d %%.", percent(twice), percent(today))
		} else {
			text = fmt.Sprintf("More memory would not help: it stays at %d %% hits.", percent(today))
		}
	}
	if less {
		if loss := percent(today) - percent(half); loss > 0 {
			text += fmt.Sprintf(" Half of it: %d %%.", percent(half))
		} else {
			text += " Half of it would do as well."
		}
	}
	return text
}

// at returns the hit ratio for the point that is at size, or less than a tenth away from it.
func (c *curve) at(size int64) (ratio number, ok bool) {
	for _, p := range c.Points {
		if math.Abs(float64(p.Size-size)) < float64(size)/10 {
			return p.HitRatio, true
		}
	}
	return 0, false
}

func percent(r number) int { return int(math.Round(float64(r) * 100)) }
