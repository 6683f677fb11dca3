module github.com/cirquecache/cirque/benchmarks

go 1.26.0

require (
	github.com/cirquecache/cirque v0.0.0
	github.com/maypok86/otter/v2 v2.4.0
)

require github.com/cespare/xxhash/v2 v2.3.0 // indirect

replace github.com/cirquecache/cirque => ../
