package conformance

// Survivor is a change to a rule file that no test can notice, because it makes no difference to
// any requirement. The mutation program (internal/verify/mutate) does not count it.
type Survivor struct {
	File     string
	Source   string // the line that is changed
	Mutation string // in the words of the program
	Why      string // why it makes no difference
}

// Survivors returns the mutants that are explained.
func Survivors() []Survivor { return survivors }

const (
	aNanosecond = "times in HTTP are whole seconds, and no operation takes only a nanosecond: a bound that moves by one nanosecond separates no two cases"
	anEmptyPart = "a representation without content has no parts"
	falseSays   = "the number is not used when the result is false"
	room        = "it is only the initial capacity of a buffer that grows"
)

var survivors = []Survivor{
	{
		"rules/storing.go", "return d.Public || d.Private && c.policy.Private || d.MaxAge.Present || d.SMaxAge.Present ||", "drop c.policy.Private",
		"a shared cache has refused private before",
	},
	{"rules/storing.go", "c.policy.Defaults.FreshDuration(c.status) > 0", "0 → 1", aNanosecond},
	{
		"rules/storing.go", "if f.InitialAge > 0 {", "> → >=",
		"without an age, the epoch that is set is the default one",
	},
	{"rules/storing.go", "if f.InitialAge > 0 {", "0 → 1", aNanosecond},
	{"rules/storing.go", "if c.freshness.Lifetime > 0 {", "0 → 1", aNanosecond},
	{"rules/storing.go", "if !dated || len(except) > 0 || !storableWhole(h) {", "> → >=", "an unnecessary copy only costs time"},
	{"rules/freshness.go", "case p.Defaults.FreshDuration(status) > 0:", "0 → 1", aNanosecond},
	{"rules/freshness.go", "if f.Lifetime = heuristicLifetime(h, date, x.ResponseTime); f.Lifetime > 0 {", "0 → 1", "a tenth of whole seconds is never one nanosecond"},
	{"rules/reuse.go", "if rd != nil && rd.Present {", "drop rd.Present", "checking absent directives only costs time"},
	{"rules/reuse.go", "decision.StaleIfError = mayBeStale && window > 0 && staleness < window // RFC 5861 §4", "0 → 1", aNanosecond},
	{"rules/reuse.go", "return maxAge > 0 && meta.Age(now) <= maxAge", "0 → 1", aNanosecond},
	{"rules/request.go", `if lines := h["Pragma"]; len(lines) > 0 {`, "> → >=", "an empty list of lines has no members"},
	{"vary.go", "b.addNameMissing(name)", "delete b.addNameMissing(name)", "a name that is left out also differs from a name with a value"},
	{"vary_record.go", "b := make([]byte, 0, 64+len(r.Variants)*96)", "64 → 65", room},
	{"vary_record.go", "b := make([]byte, 0, 64+len(r.Variants)*96)", "96 → 97", room},
	{"vary_record.go", "b := make([]byte, 0, 64+len(r.Variants)*96)", "* → /", room},
	{"vary_record.go", "return 0, nil, false", "0 → 1", falseSays},
	{"vary_record.go", "m := NewCacheMeta(0, nil, now, now.Add(farFuture), 0, 0)", "0 → 1", aNanosecond},
	{"rules/partial.go", "return 0, false", "0 → 1", falseSays},
	{"rules/partial.go", "return ByteRange{}, 0, false", "0 → 1", falseSays},
	{"rules/partial.go", "if size >= 0 {", ">= → >", anEmptyPart},
	{"rules/partial.go", "if size >= 0 {", "0 → 1", anEmptyPart},
}
