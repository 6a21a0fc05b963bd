// Command bridge-plugin-example is what an author of an adapter copies: a plugin
// of two small adapters, example-ticker (a source that publishes an event every
// so often) and example-log (a sink that writes events to the log).
//
// To make your own: copy the folder, rename the adapters in their Describe, and
// put the executable, named bridge-plugin-NAME, into a plugin folder.
package main

import "github.com/pushbridge/bridge/core/wire"

func main() { wire.Serve(tickerAdapter{}, logAdapter{}) }
