package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pushbridge/bridge/adapters/crossbar"
)

func newSign() *cobra.Command {
	sign := &cobra.Command{
		Use:   "sign PROTOCOL URL",
		Short: "Make a signed request of a protocol, as a curl command line",
		Long: `Make a signed request of a protocol and print it as a curl command line. To push
an event right away:

  bridge sign crossbar-pusher http://127.0.0.1:8080/push --key myapp1 \
    --secret-file secrets/myapp1 --topic com.myapp.topic1 --args '["Hello"]' | sh`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("no protocol %q can be signed for; there is crossbar-pusher", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	sign.AddCommand(newSignCrossbar())
	return sign
}

// crossbarRequest is what is signed.
type crossbarRequest struct {
	secret, secretFile  string
	topic, args, kwargs string
	body                string
	parameters          crossbar.Parameters
}

func newSignCrossbar() *cobra.Command {
	var r crossbarRequest
	cmd := &cobra.Command{
		Use:   "crossbar-pusher URL",
		Short: "Sign a POST for a Crossbar HTTP pusher or publisher",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.print(cmd.OutOrStdout(), args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&r.parameters.Key, "key", "", "key of the endpoint (required)")
	flags.StringVar(&r.secret, "secret", "", "secret of the key; others on this computer can see it")
	flags.StringVar(&r.secretFile, "secret-file", "", "file that holds the secret")
	flags.StringVar(&r.topic, "topic", "", "topic to publish to")
	flags.StringVar(&r.args, "args", "", "JSON list of arguments")
	flags.StringVar(&r.kwargs, "kwargs", "", "JSON object of keyword arguments")
	flags.StringVar(&r.body, "body", "", "the whole request body, in place of topic, args and kwargs; @FILE reads it")
	flags.StringVar(&r.parameters.Timestamp, "timestamp", "", "UTC, as 2006-01-02T15:04:05.000Z (default now)")
	flags.StringVar(&r.parameters.Seq, "seq", "1", "sequence number")
	flags.StringVar(&r.parameters.Nonce, "nonce", "", "number used once (default random)")
	_ = cmd.MarkFlagRequired("key") // the flag exists
	return cmd
}

func (r *crossbarRequest) print(out io.Writer, url string) error {
	secret, err := r.readSecret()
	if err != nil {
		return err
	}
	body, err := r.readBody()
	if err != nil {
		return err
	}
	if r.parameters.Timestamp == "" {
		r.parameters.Timestamp = time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	}
	if r.parameters.Nonce == "" {
		nonce, err := rand.Int(rand.Reader, big.NewInt(1<<53))
		if err != nil {
			return fmt.Errorf("draw a nonce: %w", err)
		}
		r.parameters.Nonce = nonce.String()
	}
	query, _ := crossbar.Sign(secret, r.parameters, body)
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	_, err = fmt.Fprintf(out, "curl -H 'Content-Type: application/json' --data-binary %s %s\n",
		shellQuote(string(body)), shellQuote(url+separator+query))
	return err
}

func (r *crossbarRequest) readSecret() (string, error) {
	switch {
	case r.secret != "" && r.secretFile != "":
		return "", usage("--secret and --secret-file exclude each other")
	case r.secretFile != "":
		data, err := os.ReadFile(r.secretFile)
		if err != nil {
			return "", fmt.Errorf("secret: %w", err)
		}
		return strings.TrimRight(string(data), "\r\n"), nil
	case r.secret != "":
		return r.secret, nil
	}
	return "", usage("a secret is needed: --secret-file FILE, or --secret TEXT")
}

func (r *crossbarRequest) readBody() ([]byte, error) {
	if file, isFile := strings.CutPrefix(r.body, "@"); isFile {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		return data, nil
	}
	if r.body != "" {
		return []byte(r.body), nil
	}
	if r.topic == "" {
		return nil, usage("say what to publish: --topic TOPIC with --args and --kwargs, or --body JSON")
	}
	message := map[string]any{"topic": r.topic}
	for name, text := range map[string]string{"args": r.args, "kwargs": r.kwargs} {
		if text == "" {
			continue
		}
		if !json.Valid([]byte(text)) {
			return nil, usage("--%s is no JSON: %s", name, text)
		}
		message[name] = json.RawMessage(text)
	}
	body, err := json.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	return body, nil
}

// shellQuote makes one word of a POSIX shell.
func shellQuote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
