// Command census counts what makes a codebase easy or hard to take over. It is run at the root of
// the module:
//
//	go run ./internal/verify/census                         # every count
//	go run ./internal/verify/census -list calls             # the items behind a count
//	go run ./internal/verify/census -list names . ./rules   # the same for some packages
//
// It counts, tests aside:
//
//   - names: the exported names of each package, at the top level, and of exported types the
//     methods, fields and interface methods that the package declares; and how many of them no
//     other package of the module uses. A use is an identifier that the type checker resolves to
//     the name, so a method that is only called through an interface counts as unused. The list has
//     the unused names.
//   - functions of more than 60 lines, from func to the last brace.
//   - files: the longest ones, in lines of any kind.
//   - comments: lines of comment without code that are wider than 100 columns. A tab counts four
//     columns.
//   - repeated: lines of code in a run of at least 4 that has stood in the module before, so the
//     first of several equal runs does not count. Indentation, blank lines, comments, imports and
//     lines without a letter or digit are left out.
//   - calls: uses of a function or method of another file of the package. Several uses of one name
//     of a file in another file count once. A call runs back up if it goes to a file that comes
//     before its own. The order of the files is the one with the fewest such calls, as far as a
//     search finds it. If there are none, the files can be read from top to bottom. With
//     -documented the order is that in which the package comment lists the files, if it does. The
//     list has the calls that run back up, each as "file:callers → file:callee".
package main

import (
	"flag"
	"log"
	"os"
)

const (
	maxFunction = 60  // lines
	maxComment  = 100 // columns
	minRepeated = 4   // lines
	longest     = 10  // files that are listed
)

func main() {
	log.SetFlags(0)
	list := flag.String("list", "", "list the items behind one `count`: names, functions, files, comments, repeated or calls; arguments select packages")
	documented := flag.Bool("documented", false, "count calls in the order in which package comments list the files")
	flag.Parse()
	m, err := load(".")
	if err != nil {
		log.Fatal(err)
	}
	m.documented = *documented
	if *list == "" {
		if flag.NArg() > 0 {
			log.Fatal("census: arguments need -list")
		}
		m.report(os.Stdout)
		return
	}
	if err := m.list(os.Stdout, *list, flag.Args()); err != nil {
		log.Fatal(err)
	}
}
