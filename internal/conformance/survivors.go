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

var survivors = []Survivor{}
