package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"bridge": main})
}

// The scripts in testdata/script run the commands as users do. UPDATE=1 rewrites
// the outputs that they expect.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			// The scripts' own folder is too long a path for sockets.
			dir, err := os.MkdirTemp("", "")
			env.Defer(func() { os.RemoveAll(dir) })
			env.Setenv("RUNTIME_DIRECTORY", dir)
			return err
		},
	})
}
