package conformance

// Level says how binding a requirement is.
type Level string

// The levels are the key words of BCP 14; Encouraged, for the softer words of RFCs; and Ours, for
// our own rules where the RFC leaves a choice or practice has settled one.
const (
	Must       Level = "MUST"
	MustNot    Level = "MUST NOT"
	Should     Level = "SHOULD"
	ShouldNot  Level = "SHOULD NOT"
	May        Level = "MAY"
	Encouraged Level = "encouraged"
	Ours       Level = "ours"
)

// Requirement is one rule for a cache, from an RFC or our own, with its answer. It has exactly one
// answer: the cases that show that it is kept (Cases, KeptBy), NotKept, or NotObservable.
type Requirement struct {
	Section string // "RFC 9111 §4.2.1"
	Level   Level
	Rule    string // the rule in our words

	Cases         []Case
	KeptBy        []string // names of cases of other requirements
	NotKept       string   // why Cirque does not keep it, by choice
	NotObservable string   // which observation is missing
}

// Requirements returns every requirement, in the order of the concerns.
func Requirements() []Requirement {
	var all []Requirement
	for _, concern := range [][]Requirement{
		storingRules, headerRules, freshnessRules, dateRules, ageRules, supersedingRules, reuseRules, requestRules,
		staleRules, varyRules, validationRules, fresheningRules, conditionalRules, headRules, invalidationRules,
		postRules, rangeRules, partialRules, interimRules, targetedRules, cacheStatusRules, privateRules,
		immutableRules, groupRules,
	} {
		all = append(all, concern...)
	}
	return all
}

// Cases returns every case, each with the section and level of its requirement.
func Cases() []Case {
	var all []Case
	for _, r := range Requirements() {
		for _, c := range r.Cases {
			c.Section, c.Level = r.Section, r.Level
			all = append(all, c)
		}
	}
	return all
}
