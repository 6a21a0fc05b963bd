package protocol

// Close says why a connection is closed. Clients show the reason.
type Close struct {
	Code   int
	Reason string // at most 123 bytes
}

// What connections are closed with. Clients reconnect after a while on codes
// below 4000 and from 4100 on, at once on 4000 and from 4200 on, and never on
// the rest. 4300 and above is never sent, because some clients take it for final
// and some do not; nor is 4202, which is for clients that know no pings: from
// version 5 on all do.
var (
	CloseUnsupportedData  = Close{1003, "Only text frames are supported"}
	CloseInvalidText      = Close{1007, "Text frames must be UTF-8"}
	CloseMessageTooBig    = Close{1009, "Message too big"}
	CloseTLSRequired      = Close{4000, "Application only accepts TLS connections, reconnect using wss://"}
	CloseUnknownApp       = Close{4001, "Application does not exist"}
	CloseAppDisabled      = Close{4003, "Application disabled"}
	CloseOverQuota        = Close{4004, "Application is over its connection quota"}
	CloseVersionMalformed = Close{4006, "Invalid protocol version: want a number"}
	CloseVersionUnknown   = Close{4007, "Unsupported protocol version: want 5, 6 or 7"}
	CloseVersionMissing   = Close{4008, "No protocol version supplied"}
	CloseOrigin           = Close{4009, "Origin not allowed"}
	CloseTerminated       = Close{4009, "Connection terminated by the application"}
	CloseNotAuthorized    = Close{4009, "Connection not authorized within timeout"}
	CloseNonsense         = Close{4009, "Too many invalid messages"}
	CloseSlow             = Close{4100, "Too slow: messages pile up"}
	CloseRestart          = Close{4200, "Please reconnect immediately"}
	CloseNoPong           = Close{4201, "Pong reply not received in time"}
)

// Codes that occur in pusher:error events alone.
const (
	CodeNone          = 0 // goes out as null
	CodeUnauthorized  = 4009
	CodeRateLimited   = 4301
	CodeWatchlistSize = 4302
)
