package field

import (
	"slices"

	"github.com/dunglas/httpsfv"
)

// maxGroups bounds the groups that one response can belong to or invalidate. RFC 9875 §2 asks for
// 32 at least.
const maxGroups = 128

// maxGroupsBytes bounds the field that lists them: parsing takes a multiple of its length.
const maxGroupsBytes = 64 << 10

// Groups reads a field that lists cache groups, a List of Strings (RFC 9875 §2): each name once,
// and none beyond the 128th. A field that is something else, or longer than 64 KiB, counts as
// absent.
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
