package conformance

// Survivor is a change to a rule file that no test can notice, because it changes nothing that a
// rule asks for. The mutation program (internal/verify/mutate) does not count it.
type Survivor struct {
	File     string
	Source   string // the line that is changed
	Mutation string // as the program words it
	Why      string
}

// Survivors returns the mutants that are explained.
func Survivors() []Survivor { return survivors }

const (
	aNanosecond = "times in HTTP have whole seconds, and nothing takes as little as a nanosecond: a bound that moves by one parts nothing"
	anEmptyPart = "there are no parts of a representation without content"
	falseSays   = "with false there is no number to look at"
	room        = "room that is set aside; what needs more gets it"
)

var survivors = []Survivor{
	{
		"rules/storing.go", "return d.Public || d.Private && c.policy.Private || d.MaxAge.Present || d.SMaxAge.Present ||", "drop c.policy.Private",
		"in a shared cache private was refused before",
	},
	{"rules/storing.go", "c.policy.Defaults.FreshDuration(c.status) > 0", "0 → 1", aNanosecond},
	{
		"rules/storing.go", "if f.InitialAge > 0 {", "> → >=",
		"with no age, the epoch it sets is the one that is there",
	},
	{"rules/storing.go", "if f.InitialAge > 0 {", "0 → 1", aNanosecond},
	{"rules/storing.go", "if c.freshness.Lifetime > 0 {", "0 → 1", aNanosecond},
	{"rules/storing.go", "if !dated || len(except) > 0 || !storableWhole(h) {", "> → >=", "a copy where none is needed only costs time"},
	{"rules/freshness.go", "case p.Defaults.FreshDuration(status) > 0:", "0 → 1", aNanosecond},
	{"rules/freshness.go", "if f.Lifetime = heuristicLifetime(h, date, x.ResponseTime); f.Lifetime > 0 {", "0 → 1", "a tenth of whole seconds is no single nanosecond"},
	{"rules/reuse.go", "if rd != nil && rd.Present {", "drop rd.Present", "directives that are not there change nothing, and only cost time"},
	{"rules/reuse.go", "decision.StaleIfError = mayBeStale && window > 0 && staleness < window // RFC 5861 §4", "0 → 1", aNanosecond},
	{"rules/reuse.go", "return maxAge > 0 && meta.Age(now) <= maxAge", "0 → 1", aNanosecond},
	{"rules/request.go", `if lines := h["Pragma"]; len(lines) > 0 {`, "> → >=", "there is nothing to look at in no lines"},
	{"vary.go", "b.addNameMissing(name)", "delete b.addNameMissing(name)", "a name that is left out is told from one that has a value, too"},
	{"vary_record.go", "b := make([]byte, 0, 64+len(r.Variants)*96)", "64 → 65", room},
	{"vary_record.go", "b := make([]byte, 0, 64+len(r.Variants)*96)", "96 → 97", room},
	{"vary_record.go", "b := make([]byte, 0, 64+len(r.Variants)*96)", "* → /", room},
	{"vary_record.go", "return 0, nil, false", "0 → 1", falseSays},
	{"vary_record.go", "return 0", "0 → 1", "what failed is not looked at"},
	{"vary_record.go", "m := NewCacheMeta(0, nil, now, now.Add(farFuture), 0, 0)", "0 → 1", aNanosecond},
	{"rules/partial.go", "return 0, false", "0 → 1", falseSays},
	{"rules/partial.go", "return ByteRange{}, 0, false", "0 → 1", falseSays},
	{"rules/partial.go", "if size >= 0 {", ">= → >", anEmptyPart},
	{"rules/partial.go", "if size >= 0 {", "0 → 1", anEmptyPart},
}
