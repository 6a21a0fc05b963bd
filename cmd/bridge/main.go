// Bridge joins push protocols: see README.md, or run `bridge help`.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// Exit codes of every command.
const (
	exitFailed   = 1 // it did not work
	exitUsage    = 2 // the command line is wrong
	exitFindings = 3 // it worked, and found something wrong with what it looked at
)

func main() {
	root := newRoot()
	err := root.Execute()
	if err == nil {
		return
	}
	var exit exitError
	if !errors.As(err, &exit) {
		exit = exitError{exitFailed, err}
	}
	if exit.err != nil {
		fmt.Fprintln(os.Stderr, "bridge:", exit.err)
	}
	os.Exit(exit.code)
}

// exitError ends the program with a code of its own. Without an error, what
// there is to say has been said.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// usage is an error of the command line.
func usage(format string, args ...any) error {
	return exitError{exitUsage, fmt.Errorf(format, args...)}
}

// flags are those that every command has.
type flags struct {
	config  string
	confDir string
	json    bool
}

func newRoot() *cobra.Command {
	var f flags
	root := &cobra.Command{
		Use:   "bridge",
		Short: "Join push protocols: what applications push one way, listeners get another way",
		Long: `Bridge takes events the way applications push them already and hands them to
listeners the way they listen already. Every file in conf.d is a route: where
events come from and where they go.

  bridge serve              run the routes in ./conf.d
  bridge lint               check them without running anything
  bridge status             what runs, and how well; bridge reload: look for changes now
  bridge adapters           list the protocols there are
  bridge schema wamp        what one of them takes as configuration

Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 findings.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			hint := ""
			if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
				hint = fmt.Sprintf("; did you mean %q?", similar[0])
			}
			return fmt.Errorf("unknown command %q%s", args[0], hint)
		},
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w\nrun '%s --help' for the flags there are", err, cmd.CommandPath())
	})
	root.PersistentFlags().StringVar(&f.config, "config", "", "file with settings of the bridge itself (default bridge.yaml, if there is one)")
	root.PersistentFlags().StringVar(&f.confDir, "conf-dir", "", "folder of route files (default conf.d beside the configuration)")
	root.PersistentFlags().BoolVar(&f.json, "json", false, "print JSON for programs instead of text for people")
	root.AddCommand(
		newServe(&f), newStatus(&f), newReload(&f), newLint(&f), newPlugins(&f), newAdapters(&f), newSchema(&f), newSign(), newVersion(&f), newPlugin(),
	)
	checkUsage(root)
	return root
}

// checkUsage makes wrong arguments of a command, and of those below it, errors of
// usage.
func checkUsage(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usage("%w\nrun '%s --help' to see how it is used", err, cmd.CommandPath())
			}
			return nil
		}
	}
	for _, below := range cmd.Commands() {
		checkUsage(below)
	}
}
