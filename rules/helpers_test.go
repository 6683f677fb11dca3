package rules

import "github.com/cirquecache/cirque/internal/field/fieldtest"

const day = fieldtest.Day

var (
	testNow = fieldtest.Now
	at      = fieldtest.At
	lines   = fieldtest.Lines
)
