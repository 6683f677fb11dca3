package field

import (
	"slices"

	"github.com/dunglas/httpsfv"
)

// maxGroups is the largest number of groups that are read from one field. RFC 9875 §2 asks for at
// least 32.
const maxGroups = 128

// maxGroupsBytes is the largest size of the field, because parsing takes a multiple of its length.
const maxGroupsBytes = 64 << 10

// Groups reads a field that lists cache groups, a List of Strings (RFC 9875 §2). It returns each
// name once, and at most 128 names. A field that is not such a List, or is longer than 64 KiB,
// counts as absent.
func Groups(lines []string) []string {
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	if size == 0 || size > maxGroupsBytes {
		return nil
	}
	list, err := httpsfv.UnmarshalList(lines)
	if err != nil {
		return nil // RFC 9651 §4.2
	}
	var names []string
	for _, member := range list {
		item, _ := member.(httpsfv.Item)
		name, ok := item.Value.(string)
		if !ok {
			return nil // RFC 9651 §2: the field is ignored as a whole
		}
		if len(names) < maxGroups && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
