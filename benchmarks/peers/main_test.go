package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestCirque checks that Cirque gives the answers that docs/reference.md shows.
func TestCirque(t *testing.T) {
	var table bytes.Buffer
	if err := compare(&table, []peer{{"Cirque", startCirque}}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"1; 50", "all of it", "1", "2", "one 304, then hits", "the stale one at once; the next one a new one", "a new one",
	}
	lines := strings.Split(strings.TrimSpace(table.String()), "\n")[2:]
	for i, line := range lines {
		if !strings.HasSuffix(line, "| "+want[i]+" |") {
			t.Errorf("want %q: %s", want[i], line)
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d answers, want %d", len(lines), len(want))
	}
}
