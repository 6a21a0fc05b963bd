//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// startTarget is what the start of the shipped routes is measured by.
const startTarget = 500 * time.Millisecond

// measureStart measures `bridge serve` with the shipped conf.d, on free ports,
// from exec until it reports its routes.
func measureStart(ctx context.Context, o options) error {
	var took []time.Duration
	for range o.runs {
		if err := ctx.Err(); err != nil {
			return err
		}
		ready, err := runStart(o)
		if err != nil {
			return err
		}
		took = append(took, ready.Round(100*time.Microsecond))
	}
	fmt.Printf("  ready after %v (each run: %v); target %v\n", median(took), took, startTarget)
	return nil
}

func runStart(o options) (ready time.Duration, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := copyConf(o.confDir, filepath.Join(dir, "conf.d")); err != nil {
		return 0, err
	}
	b, err := serveBridge(o.bridge, dir)
	if err != nil {
		return 0, err
	}
	return b.ready, b.end()
}
