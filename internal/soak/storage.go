package main

import "github.com/cirquecache/cirque/middleware"

// storages open the kinds of storage that -storage names, within cfg.MaxBytes, and set them in cfg. The function that they
// return, if it is not nil, closes it.
var storages = map[string]func(cfg *middleware.Config) (closer func() error, err error){
	"memory": func(*middleware.Config) (func() error, error) { return nil, nil }, // the default
}
