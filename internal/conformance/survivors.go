package conformance

// Survivor is a change to a rule file that no test can notice, because it changes nothing that a rule asks for. The mutation
// program (internal/mutate) does not count it.
type Survivor struct {
	File     string
	Source   string // the line that is changed
	Mutation string // as the program words it
	Why      string
}

// Survivors returns the mutants that are explained.
func Survivors() []Survivor { return survivors }

const aNanosecond = "times have whole seconds, so a bound that moves by a nanosecond parts nothing"

var survivors = []Survivor{
	{
		"storing.go", "return d.Public || d.Private && c.policy.Private || d.MaxAge.Present || d.SMaxAge.Present ||", "drop c.policy.Private",
		"in a shared cache private was refused before",
	},
	{"storing.go", "c.policy.Defaults.FreshDuration(c.status) > 0", "0 → 1", aNanosecond},
	{
		"storing.go", "if f.InitialAge > 0 {", "> → >=",
		"with no age, the epoch it sets is the one that is there",
	},
	{"storing.go", "if f.InitialAge > 0 {", "0 → 1", aNanosecond},
	{"storing.go", "if c.freshness.Lifetime > 0 {", "0 → 1", aNanosecond},
}
