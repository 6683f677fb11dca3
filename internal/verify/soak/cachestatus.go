package main

import (
	"fmt"
	"slices"
	"strings"
)

// cacheStatus is a parsed Cache-Status field (RFC 9211).
type cacheStatus struct {
	hit, collapsed bool
	fwd, detail    string
	wrong          string
}

func parseCacheStatus(lines []string) (s cacheStatus) {
	if len(lines) != 1 {
		s.wrong = fmt.Sprintf("Cache-Status %q", lines)
		return s
	}
	parts := strings.Split(lines[0], "; ")
	s.hit, s.collapsed = slices.Contains(parts, "hit"), slices.Contains(parts, "collapsed")
	for _, part := range parts {
		if value, ok := strings.CutPrefix(part, "fwd="); ok {
			s.fwd = value
		}
		if value, ok := strings.CutPrefix(part, "detail="); ok {
			s.detail = value
		}
	}
	return s
}
