package signature

import (
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"
)

// vectors are the ones of the protocol that are about signatures.
type vectors struct {
	Credentials struct{ Secret string }
	Rest        []struct {
		ID, Method, Target string
		StringToSign       string `json:"string_to_sign"`
		Matches            bool   `json:"hmac_matches_wire_signature"`
	}
	ChannelAuth []struct {
		ID, Key, Secret, Channel, Auth string
		SocketID                       string `json:"socket_id"`
		ChannelData                    string `json:"channel_data"`
		StringToSign                   string `json:"string_to_sign"`
		Valid                          bool
	} `json:"channel_auth"`
	UserAuth []struct {
		ID, Key, Secret, Auth string
		SocketID              string `json:"socket_id"`
		UserData              string `json:"user_data"`
		Valid                 bool
	} `json:"user_auth"`
	Webhooks []struct {
		ID, Key, Secret string
		Headers         map[string]string
		Body            string `json:"body_utf8"`
		Valid           bool
	}
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRequestVectors(t *testing.T) {
	all := readVectors(t)
	secret := NewSecret(all.Credentials.Secret)
	if len(all.Rest) < 97 {
		t.Errorf("only %d vectors", len(all.Rest))
	}
	for _, v := range all.Rest {
		escaped, raw, _ := strings.Cut(v.Target, "?")
		path, err := url.PathUnescape(escaped)
		if err != nil {
			t.Fatal(err)
		}
		q := ParseQuery(raw)
		text := q.AppendStringToSign(nil, v.Method, path)
		if string(text) != v.StringToSign {
			t.Errorf("%s: string to sign %q, want %q", v.ID, text, v.StringToSign)
		}
		if secret.Verify(q.Get(ParameterSignature), text) != v.Matches {
			t.Errorf("%s: the signature matches: want %v", v.ID, v.Matches)
		}
		if v.Matches && secret.Sign(text) != q.Get(ParameterSignature) {
			t.Errorf("%s: signed otherwise", v.ID)
		}
	}
}

func TestChannelVectors(t *testing.T) {
	for _, v := range readVectors(t).ChannelAuth {
		secret := NewSecret(v.Secret)
		key, signature, ok := SplitAuth(v.Auth)
		valid := ok && key == v.Key && secret.VerifyChannel(signature, v.SocketID, v.Channel, v.ChannelData)
		if valid != v.Valid {
			t.Errorf("%s: valid %v, want %v", v.ID, valid, v.Valid)
		}
		own := secret.SignChannel(v.SocketID, v.Channel, v.ChannelData)
		if own != secret.Sign([]byte(v.StringToSign)) || v.Valid && own != signature {
			t.Errorf("%s: signed otherwise", v.ID)
		}
	}
}

func TestUserVectors(t *testing.T) {
	for _, v := range readVectors(t).UserAuth {
		key, signature, ok := SplitAuth(v.Auth)
		signed := ok && key == v.Key && NewSecret(v.Secret).VerifyUser(signature, v.SocketID, v.UserData)
		var user struct{ ID any }
		if err := json.Unmarshal([]byte(v.UserData), &user); err != nil {
			t.Fatal(err)
		}
		id, _ := user.ID.(string)
		if valid := signed && id != ""; valid != v.Valid {
			t.Errorf("%s: valid %v, want %v", v.ID, valid, v.Valid)
		}
		if own := NewSecret(v.Secret).SignUser(v.SocketID, v.UserData); v.Valid && own != signature {
			t.Errorf("%s: signed otherwise", v.ID)
		}
	}
}

func TestWebhookVectors(t *testing.T) {
	for _, v := range readVectors(t).Webhooks {
		valid := v.Headers["X-Pusher-Key"] == v.Key && NewSecret(v.Secret).Verify(v.Headers["X-Pusher-Signature"], []byte(v.Body))
		if valid != v.Valid {
			t.Errorf("%s: valid %v, want %v", v.ID, valid, v.Valid)
		}
	}
}

func TestParseQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"":                            "",
		"b=2&a=1":                     "a=1&b=2",
		"a=x+y%20z%2b":                "a=x y z+",
		"A=X&İ=1":                     "a=X&İ=1",
		"p=private-b@=,.;&q":          "p=private-b@=,.;&q=",
		"c[]=b&c[]=a&c%5B%5D=0":       "c[]=b&c[]=a&c[]=0",
		"%=%zz&a=%4":                  "%=%zz&a=%4",
		"&&a=1&&":                     "a=1",
		"auth_signature=x&a=1":        "a=1",
		"a=1&AUTH_SIGNATURE=x":        "a=1",
		"auth_signature=x":            "",
		"=v":                          "=v",
		"a=1=2":                       "a=1=2",
		"a=%26&b=%3D":                 "a=&&b==",
		"channels[]=z&channels=y&d=1": "channels=y&channels[]=z&d=1",
	} {
		if got := string(ParseQuery(raw).AppendStringToSign(nil, "M", "/p")); got != "M\n/p\n"+want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
	q := ParseQuery("a=1&b=&A=2")
	if v, ok := q.Find("b"); !ok || v != "" || q.Get("a") != "1" || len(q.All("a")) != 2 {
		t.Errorf("%v", q)
	}
	if _, ok := q.Find("c"); ok || q.Get("c") != "" || q.All("c") != nil {
		t.Errorf("%v", q)
	}
}

func TestSplitAuth(t *testing.T) {
	for auth, ok := range map[string]bool{"k:s": true, "k:s:t": true, "": false, ":": false, "k:": false, ":s": false, "ks": false} {
		if _, _, got := SplitAuth(auth); got != ok {
			t.Errorf("%q: %v", auth, got)
		}
	}
	if _, signature, _ := SplitAuth("k:s:t"); signature != "s:t" {
		t.Error(signature)
	}
}

func FuzzQuery(f *testing.F) {
	for _, v := range readVectors(f).Rest {
		_, raw, _ := strings.Cut(v.Target, "?")
		f.Add(raw)
	}
	f.Add("%=%zz&;=;&a[]=%c3%28&A=+")
	secret := NewSecret("secret")
	f.Fuzz(func(t *testing.T, raw string) {
		q := ParseQuery(raw)
		for i := 1; i < len(q); i++ {
			if q[i-1].Name > q[i].Name {
				t.Errorf("%q is not in order", raw)
			}
		}
		text := q.AppendStringToSign(nil, "GET", "/p")
		signature := secret.Sign(text)
		again := ParseQuery(raw + "&auth_signature=" + signature)
		if _, given := q.Find(ParameterSignature); !given && !secret.Verify(again.Get(ParameterSignature), again.AppendStringToSign(nil, "GET", "/p")) {
			t.Errorf("%q: the signature of the query does not match it", raw)
		}
	})
}
