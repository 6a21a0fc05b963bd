package crossbar

import (
	"fmt"
	"net/http"
	"strings"
)

// checkHeader looks at what the request says about its body.
func (l *live) checkHeader(header http.Header) *fault {
	types := header["Content-Type"]
	if len(types) > 1 {
		return &fault{code: codeHeaderTwice, status: http.StatusBadRequest, text: "Multiple versions of the same header is not allowed."}
	}
	if len(types) == 1 {
		if wrong := l.checkType(types[0]); wrong != nil {
			return wrong
		}
	}
	for _, encoding := range header["Content-Encoding"] {
		if !strings.EqualFold(strings.TrimSpace(encoding), "identity") {
			return &fault{code: codeEncoding, status: http.StatusUnsupportedMediaType,
				text: fmt.Sprintf("Content encoding '%s' is not accepted: send the body as it is.", clip(encoding))}
		}
	}
	return nil
}

// checkType wants JSON in UTF-8.
func (l *live) checkType(contentType string) *fault {
	if contentType == mediaJSON {
		return nil
	}
	media, parameters, _ := strings.Cut(contentType, ";")
	media = strings.TrimSpace(media)
	if !strings.EqualFold(media, mediaJSON) && !l.config.LenientContentType {
		return &fault{code: codeMediaType, status: http.StatusBadRequest, semantic: http.StatusUnsupportedMediaType,
			text: fmt.Sprintf("Non-accepted content type. (must be one of '%s', not '%s')", mediaJSON, clip(media))}
	}
	if !isUTF8(parameters) {
		return &fault{code: codeCharset, status: http.StatusBadRequest, semantic: http.StatusUnsupportedMediaType,
			text: "Non-accepted request encoding, must be UTF-8."}
	}
	return nil
}

const mediaJSON = "application/json"

// isUTF8 reads the parameters of a media type: none may come twice, none may
// have two equals signs, and charset, if given, must be UTF-8.
func isUTF8(parameters string) bool {
	seen := make(map[string]bool)
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, text, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if name == "" && text == "" {
			continue // "application/json;"
		}
		name = strings.ToLower(strings.TrimSpace(name))
		if seen[name] || strings.Contains(text, "=") {
			return false
		}
		seen[name] = true
		if name != "charset" {
			continue
		}
		text = strings.TrimSpace(text)
		if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
			text = text[1 : len(text)-1]
		}
		if !strings.EqualFold(text, "utf-8") && !strings.EqualFold(text, "utf8") {
			return false
		}
	}
	return true
}
