// Package core is the vocabulary of bridge: the normalized [Event], what is said
// of it ([Receipt], [Refusal]), what can be asked of listeners ([Call]), and the
// small interfaces through which an adapter and the bus meet ([Adapter],
// [Instance], [Sink], [Host]).
//
// It holds no behaviour of the bus, no protocol and no transport. It imports the
// standard library and Prometheus's registerer, so that an author of an adapter
// depends on nothing else.
//
// An event's walk, by the names of this package: a source builds a
// [Publication] and hands it to [Host.Publish]; the bus gives each event its ID
// and puts it on every edge of the source's routes; an edge hands batches to
// [Sink.Deliver]; the sink answers each event with a [Receipt]; what the
// publication asked to wait for ([Ack], NeedID) travels back as the result of
// Publish.
package core
