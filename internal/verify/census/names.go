package main

import "go/types"

// exportedName is a name that users of a package see.
type exportedName struct{ name, key string }

// exported returns the exported names of p: at the top level, and of exported types the methods,
// fields and interface methods that are declared in p.
func (p *pkg) exported() []exportedName {
	var names []exportedName
	add := func(name string, object types.Object) {
		if object.Exported() && object.Pkg() == p.types {
			names = append(names, exportedName{name, p.key(object)})
		}
	}
	scope := p.types.Scope()
	for _, name := range scope.Names() {
		object := scope.Lookup(name)
		if !object.Exported() {
			continue
		}
		add(name, object)
		declared, ok := object.(*types.TypeName)
		if !ok || declared.IsAlias() {
			continue
		}
		named := declared.Type().(*types.Named)
		for method := range named.Methods() {
			add(name+"."+method.Name(), method)
		}
		switch t := named.Underlying().(type) {
		case *types.Struct:
			for field := range t.Fields() {
				if !field.Embedded() {
					add(name+"."+field.Name(), field)
				}
			}
		case *types.Interface:
			for method := range t.ExplicitMethods() {
				add(name+"."+method.Name(), method)
			}
		}
	}
	return names
}

// unused returns the exported names of p that no other package of the module uses.
func (p *pkg) unused() []exportedName {
	var unused []exportedName
	for _, n := range p.exported() {
		if !p.module.used[n.key] {
			unused = append(unused, n)
		}
	}
	return unused
}
