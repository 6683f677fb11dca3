package main

import (
	"bytes"
	"fmt"
	"os"
)

// The table stands between these lines of a document.
const (
	tableBegins = "<!-- The table is written by benchmarks/table. -->\n"
	tableEnds   = "<!-- End of the table. -->\n"
)

// splice puts text between the markers of the file called name.
func splice(name, text string) error {
	document, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, begun := bytes.Cut(document, []byte(tableBegins))
	_, after, ended := bytes.Cut(rest, []byte(tableEnds))
	if !begun || !ended {
		return fmt.Errorf("%s lacks the lines %q and %q", name, tableBegins, tableEnds)
	}
	spliced := fmt.Appendf(nil, "%s%s\n%s\n%s%s", before, tableBegins, text, tableEnds, after)
	return os.WriteFile(name, spliced, 0o644)
}
