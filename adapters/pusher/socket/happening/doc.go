// Package happening decides what the bus is told about the listeners of one
// Pusher app: that a channel is occupied or vacated, that a user came to a
// presence channel or left it, that a cache channel was found empty.
//
// The [Ledger] is a state machine without clock, lock or I/O. It is told what is
// so and when, and emits what follows. A departure is held back for a while; who
// returns in time has never left, and neither the departure nor the return is
// emitted. Departures keep the order in which they came, so that members leave
// before their channel does.
package happening
