package main

import (
	"context"
	"math/rand/v2"
	"net/http"
)

// purger is the part of a cache that purges.
type purger interface {
	Purge(ctx context.Context, r *http.Request) error
	SoftPurge(ctx context.Context, r *http.Request) error
	PurgeAll(ctx context.Context) error
	PurgeGroup(ctx context.Context, r *http.Request, group string) error
}

// anyOf sends each purge through one of several caches on one Storage, chosen at random.
type anyOf []purger

func (a anyOf) one() purger { return a[rand.IntN(len(a))] }

// Purge implements purger.
func (a anyOf) Purge(ctx context.Context, r *http.Request) error { return a.one().Purge(ctx, r) }

// SoftPurge implements purger.
func (a anyOf) SoftPurge(ctx context.Context, r *http.Request) error {
	return a.one().SoftPurge(ctx, r)
}

// PurgeAll implements purger.
func (a anyOf) PurgeAll(ctx context.Context) error { return a.one().PurgeAll(ctx) }

// PurgeGroup implements purger.
func (a anyOf) PurgeGroup(ctx context.Context, r *http.Request, group string) error {
	return a.one().PurgeGroup(ctx, r, group)
}
