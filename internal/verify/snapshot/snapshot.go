// Package snapshot makes a stats.Snapshot in which every number is another, so that a test of an
// exporter can show that each of them comes out.
package snapshot

import (
	"fmt"
	"reflect"
	"time"

	"github.com/cirquecache/cirque/stats"
)

// Number is one number of a Snapshot.
type Number struct {
	Path  string // of the fields that lead to it, such as "Fills.InFlight"
	Value float64
	// Histogram is set if the number is a whole histogram. Value is its Count then.
	Histogram *stats.Histogram
}

// Full returns a Snapshot without a zero in it, and its numbers, in the order of the fields. Maps
// with enums as keys have all of them; other maps and slices have one element.
func Full() (stats.Snapshot, []Number) {
	f := filler{next: 1_000_003}
	var s stats.Snapshot
	f.fill(reflect.ValueOf(&s).Elem(), "")
	return s, f.numbers
}

type filler struct {
	next    uint64
	numbers []Number
}

// number returns a number that no other field has. Each is less than 2 to the 24, so that no float
// rounds it.
func (f *filler) number() uint64 {
	f.next += 11
	return f.next
}

func (f *filler) found(path string, value float64) {
	f.numbers = append(f.numbers, Number{Path: path, Value: value})
}

func (f *filler) fill(v reflect.Value, path string) {
	switch v.Interface().(type) {
	case stats.Histogram:
		n := f.number()
		h := stats.Histogram{Count: n, Sum: float64(n) + 0.5, First: -3, Counts: []uint64{n - 5, 0, 0, 0, 5}}
		v.Set(reflect.ValueOf(h))
		f.numbers = append(f.numbers, Number{path, float64(n), &h})
		return
	case time.Time:
		n := f.number()
		v.Set(reflect.ValueOf(time.Unix(int64(n), 0)))
		f.found(path, float64(n))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if path != "" {
				name = path + "." + name
			}
			f.fill(v.Field(i), name)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), path)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		f.fill(v.Index(0), path)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, key := range keys(v.Type().Key(), path) {
			value := reflect.New(v.Type().Elem()).Elem()
			f.fill(value, fmt.Sprintf("%s.%v", path, key))
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString("a " + path)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		n := f.number()
		v.SetInt(int64(n))
		f.found(path, float64(n))
	case reflect.Uint64:
		n := f.number()
		v.SetUint(n)
		f.found(path, float64(n))
	case reflect.Float64:
		n := float64(f.number()) + 0.25
		v.SetFloat(n)
		f.found(path, n)
	default:
		panic(fmt.Sprintf("snapshot: %s is a %s, which Full cannot fill yet", path, v.Type()))
	}
}

// keys returns the keys that a map at path gets.
func keys(t reflect.Type, path string) (keys []reflect.Value) {
	switch t {
	case reflect.TypeFor[stats.Door]():
		for _, d := range stats.Doors() {
			keys = append(keys, reflect.ValueOf(d))
		}
	case reflect.TypeFor[stats.Result]():
		for _, r := range stats.Results() {
			keys = append(keys, reflect.ValueOf(r))
		}
	default:
		keys = []reflect.Value{reflect.ValueOf("a key of " + path)}
	}
	return keys
}
