package storagetest

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// plainBugs lists all cases that find a bug, for each bug of plain. The bug "" is none.
var plainBugs = map[string][]string{
	"": {},

	"drops empty bodies":                        {"EmptyBody"},
	"loses the tail":                            {"LargeBody"},
	"loses what follows an empty write":         {"OddWrites"},
	"believes the hint":                         {"WrongHint", "ReadFrom"},
	"keeps the caller's buffer":                 {"CallerReusesItsBuffer"},
	"changes the caller's buffer":               {"WriteLeavesBufferAlone"},
	"keeps the reader's buffer":                 {"ReaderOwnsItsBuffer"},
	"overwrites in place":                       {"Overwrite", "LastToFinishStays"},
	"keeps what began last":                     {"LastToFinishStays"},
	"visible before Finish":                     {"InvisibleBeforeFinish"},
	"hides an entry that a write will replace":  {"InvisibleBeforeFinish", "LastToFinishStays"},
	"gives tags out again":                      {"Tags"},
	"weighs the body only":                      {"Weight", "BudgetUpdateMeta"},
	"commits on Abort":                          {"AbortLeavesNothing", "AbortLeavesTheEntryBefore", "BudgetInFlight", "ReopenDropsUnfinished", "SharedOrder"},
	"Abort removes the entry":                   {"AbortLeavesTheEntryBefore", "SharedOrder"},
	"aborts after Finish":                       {"AbortAfterFinish", "BudgetEvicts", "SharedPurges", "PurgesGoByEvents", "SharedOrder", "ReopenKeepsPurges"},
	"purges what is not there":                  {"UnknownKey", "Purge"},
	"ignores variance":                          {"Variants", "CollidingHash", "CollidingHashOfVariants", "InvalidationSparesOtherWrites", "PurgeTakesOneEntry"},
	"ignores namespaces":                        {"Namespaces"},
	"ignores key text":                          {"CollidingHash"},
	"ignores key text of variants":              {"CollidingHashOfVariants"},
	"keys by user tag":                          {"UserTag"},
	"forgets the epoch":                         {"MetaFidelity", "ReopenKeepsEntries"},
	"update forgets extensions":                 {"UpdateMeta"},
	"update gives a new tag":                    {"UpdateMeta", "ReplacesUpdated"},
	"update drops large bodies":                 {"UpdateMetaOfLargeBody"},
	"update changes the meta that readers have": {"UpdateMetaWhileRead", "BudgetUpdateMeta"},
	"update ignores the tag":                    {"UpdateMetaOfReplaced"},
	"update brings back the purged":             {"UpdateMetaOfPurged"},
	"update reaches writes under way":           {"UpdateMetaOfUnfinished"},
	"purge takes all variants":                  {"PurgeTakesOneEntry"},
	"purge cuts readers short":                  {"ReadAfterPurge"},
	"replacing cuts readers short":              {"ReadAfterReplace"},
	"invalidation ignores writes":               {"InvalidationVoidsWrites", "InvalidationVoidsWritesOfVariants", "BudgetInFlight", "SharedPurges"},
	"invalidation forgets writes of variants":   {"InvalidationVoidsWritesOfVariants"},
	"invalidation voids all writes":             {"InvalidationSparesOtherWrites"},
	"invalidation voids later writes":           {"InvalidationSparesLaterWrites", "Purge"},
	"eviction voids writes":                     {"EvictionSparesWrites"},
	"ignores Replaces of the purged":            {"ReplacesPurged"},
	"ignores Replaces of the replaced":          {"ReplacesReplaced"},
	"refuses all that replaces":                 {"Replaces", "ReplacesUpdated"},
	"reads all or nothing":                      {"ReadFrom"},
	"mixes up bytes of small bodies":            {"SmallBody"},
	"keeps the charge of purged entries":        {"BudgetCharge", "BudgetEvicts", "BudgetOpenHit", "BudgetUpdateMeta"},
	"shares positions":                          {"ReadersAreIndependent"},
	"WriteTo starts over":                       {"WriteTo", "Seek"},
	"WriteTo hides errors":                      {"WriteToFailingWriter"},
	"reads beyond a range":                      {"Seek", "SeekOutside"},
	"cuts ranges to fit":                        {"SeekOutside"},
	"cannot seek and does not say why":          {"Seek", "SeekOutside"},
	"mixes meta and body":                       {"Concurrency"},
	"starts goroutines per hit":                 {"Goroutines"},
	"charges nothing":                           {"BudgetCharge", "BudgetOpenHit", "BudgetUpdateMeta", "BudgetEvicts", "BudgetFutile"},
	"keeps the charge of replaced entries":      {"BudgetOverwrite", "BudgetOpenHit", "BudgetUpdateMeta"},
	"releases what is still open":               {"BudgetFutile", "BudgetOpenHit"},
	"charges aborted writes for good":           {"BudgetInFlight"},
	"update is not charged":                     {"BudgetUpdateMeta"},
	"reserves under its lock":                   {"BudgetEvicts"},
	"fails without room":                        {"BudgetFutile", "BudgetTooSmall"},
	"cannot tell what is held":                  {"BudgetFutile"},
	"forgets all when reopened":                 {"ReopenKeepsEntries", "ReopenKeepsPurges"},
	"gives tags out again when reopened":        {"ReopenKeepsEntries"},
	"reopens what was unfinished":               {"ReopenDropsUnfinished"},
	"makes a state for each call":               {"Purges", "SharedPurges", "PurgesGoByEvents", "SharedOrder", "ReopenKeepsPurges"},
	"forgets purges when reopened":              {"ReopenKeepsPurges"},
	"lists what was purged":                     {"List"},
	"lists writes under way":                    {"List"},
	"lists all at once":                         {"ListPages"},
	"loses an entry between two pages":          {"ListPages"},
	"lists what nobody wants":                   {"ListPages"},
	"takes any cursor":                          {"ListBadCursor"},
}

// streamerBugs lists all cases that find a bug, for each bug of streamer. The bug "" is none.
var streamerBugs = map[string][]string{
	"": {},

	"does not stream": {
		"StreamPartial", "BudgetPartialHit", "Goroutines", "StreamAbort", "StreamAbortWriteTo", "StreamCancelRead", "StreamManyReaders",
		"StreamNewReader", "StreamNewest", "StreamPartialHit", "StreamReadOn", "StreamReplacesGone", "StreamUpdateMeta",
		"StreamWriteTo",
	},
	"knows the size too early":               {"StreamPartialHit"},
	"counts accesses of partial hits":        {"StreamPartialHit"},
	"WriteTo stops too early":                {"StreamWriteTo"},
	"counts readers that have left":          {"StreamNewReader"},
	"looks up by key where it should by tag": {"StreamLookupByTag"},
	"ends aborted reads cleanly":             {"StreamAbort", "UnlinkAbort"},
	"ends aborted WriteTo cleanly":           {"StreamAbortWriteTo"},
	"prefers the entry":                      {"StreamNewest", "StreamReplacesGone"},
	"keys by hash":                           {"StreamCollidingHash", "CollidingHash", "CollidingHashOfVariants", "List", "ListPages"},
	"finds what was voided":                  {"StreamVoided"},
	"aborts what was voided":                 {"StreamVoided"},
	"updates entries only":                   {"StreamUpdateMeta"},
	"counts entries only as purged":          {"StreamPurge"},
	"reads on only until a purge":            {"StreamReadOn", "StreamVoided", "BudgetPartialHit"},
	"ignores the context of Lookup":          {"StreamCancelRead"},
	"ignores Unlink":                         {"Unlink", "UnlinkLeavesTheEntryBefore", "UnlinkWithoutReaders", "UnlinkPacesWrite", "BudgetUnlink", "StreamPurge", "SharedPurges", "SharedOrder"},
	"keeps all that is unlinked":             {"UnlinkPacesWrite"},
	"reports writes as entries":              {"StatsEntries"},
	"reports nothing that is open":           {"StatsAddUp"},
	"reports writes under way as open":       {"StatsAddUp"},
	"reports no refusals":                    {"StatsRefused"},
	"reports misses as errors":               {"StatsOperations"},
}

func TestBugsOfPlainStoresAreFound(t *testing.T) {
	shortDeadline(t)
	for bug, want := range plainBugs {
		if raceEnabled && bug != "" {
			continue // the bug may be a data race
		}
		t.Run(bug, func(t *testing.T) {
			parallel(t, want)
			requireFailing(t, want, func(testing.TB) cirque.Storage { return newPlain(bug, nil) }, Features{
				Seeking: true,
				Budget:  func(_ testing.TB, budget *cirque.Budget) cirque.Storage { return newPlain(bug, budget) },
				Reopen:  func(_ testing.TB, s cirque.Storage) cirque.Storage { return s.(*plain).reopen() },
			})
		})
	}
}

func TestBugsOfStreamsAreFound(t *testing.T) {
	shortDeadline(t)
	for bug, want := range streamerBugs {
		if raceEnabled && bug != "" {
			continue
		}
		t.Run(bug, func(t *testing.T) {
			parallel(t, want)
			requireFailing(t, want, func(testing.TB) cirque.Storage { return newStreamer(bug, nil) }, Features{
				Streaming: true,
				Seeking:   true,
				Budget:    func(_ testing.TB, budget *cirque.Budget) cirque.Storage { return newStreamer(bug, budget) },
			})
		})
	}
}

func TestEveryCaseFindsABug(t *testing.T) {
	// TestFeatures tests NoSeek.
	found := map[string]bool{"NoSeek": true}
	for _, bugs := range []map[string][]string{plainBugs, streamerBugs} {
		for _, names := range bugs {
			for _, name := range names {
				found[name] = true
			}
		}
	}
	for _, c := range cases() {
		require.True(t, found[c.name], "no bug is listed for the case %s", c.name)
		delete(found, c.name)
	}
	require.Empty(t, found, "names without a case")
}

func TestFeatures(t *testing.T) {
	for name, test := range map[string]struct {
		storage          cirque.Storage
		features         Features
		failing, skipped []string
	}{
		"no streaming, declared": {
			storage:  newPlain("", nil),
			features: Features{Streaming: true},
			failing:  []string{"SmallBody", "StreamPartial", "Unlink"},
			skipped:  []string{"BudgetCharge", "ReopenKeepsEntries", "InvisibleBeforeFinish", "Seek"},
		},
		"no seeking, declared": {
			storage:  newPlain("cannot seek", nil),
			features: Features{Seeking: true},
			failing:  []string{"Seek"},
			skipped:  []string{"NoSeek"},
		},
		"no seeking": {
			storage: newPlain("cannot seek", nil),
			skipped: []string{"Seek", "SeekOutside", "StreamPartial"},
		},
		"no seeking, with the wrong error": {
			storage: newPlain("cannot seek and does not say why", nil),
			failing: []string{"NoSeek"},
		},
		"seeking, not declared": {
			storage: newPlain("", nil),
			skipped: []string{"Seek", "NoSeek"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range cases() {
				if !slices.Contains(test.failing, c.name) && !slices.Contains(test.skipped, c.name) {
					continue
				}
				r := record(t, c, func(testing.TB) cirque.Storage { return test.storage }, test.features)
				require.Equal(t, slices.Contains(test.failing, c.name), r.failed, "%s: %s", c.name, r.log)
				require.Equal(t, slices.Contains(test.skipped, c.name), r.skipped, c.name)
			}
		})
	}
}

// shortDeadline lets cases with a store that hangs end soon.
func shortDeadline(t *testing.T) {
	long := deadline
	deadline = 2 * time.Second
	t.Cleanup(func() { deadline = long })
}

// parallel lets a test that requires the cases want to fail run in parallel with others, unless one
// of these cases counts goroutines.
func parallel(t *testing.T, want []string) {
	if len(want) > 0 && !slices.Contains(want, "Goroutines") {
		t.Parallel()
	}
}

// requireFailing fails the test unless exactly the cases want fail for a store.
func requireFailing(t *testing.T, want []string, newStorage func(testing.TB) cirque.Storage, features Features) {
	t.Helper()
	got := []string{}
	for _, c := range cases() {
		if len(want) > 0 && (c.name == "Concurrency" || c.name == "Goroutines") && !slices.Contains(want, c.name) {
			// Concurrency finds many bugs, but not each time. Goroutines counts those of parallel
			// tests.
			continue
		}
		if r := record(t, c, newStorage, features); r.failed {
			got = append(got, c.name)
			t.Logf("%s: %s", c.name, r.log)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	require.Equal(t, want, got)
}
