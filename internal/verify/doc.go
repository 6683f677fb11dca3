// Package verify is the root of what checks the library and never ships with it:
//
//	census       counts what makes the code hard to take over
//	conformance  cases for each requirement of the RFCs
//	faulty       origins, clients and Storages that misbehave
//	history      random histories with an oracle, repeatable by seed
//	mutate       breaks the rules, and lists the breaks that no test notices
//	soak         load and faults over real connections, with an oracle
package verify
