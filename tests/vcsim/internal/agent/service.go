package agent

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// service is SSM in one Region.
type service struct {
	endpoint *url.URL
	region   string
	client   http.Client
}

func newService(endpoint, region string) (*service, error) {
	parsed, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("the endpoint %q: %w", endpoint, err)
	}
	return &service{endpoint: parsed, region: region, client: http.Client{Timeout: 20 * time.Second}}, nil
}

// signer is who calls. It sees the text that Signature Version 4 signs.
type signer interface {
	// headers to be signed as well.
	headers() map[string]string
	// sign gives the name of the key and the signature of text; nothing for
	// calls that are not signed.
	sign(scope []string, text string) (string, string, error)
}

// unsigned calls are those that an activation's code is enough for.
type unsigned struct{}

func (unsigned) headers() map[string]string { return nil }

func (unsigned) sign([]string, string) (string, string, error) { return "", "", nil }

// nodeKey signs with the key that was made at registration.
type nodeKey struct {
	node string
	key  *rsa.PrivateKey
}

func (nodeKey) headers() map[string]string { return nil }

func (n nodeKey) sign(_ []string, text string) (string, string, error) {
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPSS(rand.Reader, n.key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256})
	return n.node, base64.StdEncoding.EncodeToString(signature), err
}

// credentials sign as all of AWS does.
type credentials struct {
	access, secret, token string
}

func (c credentials) headers() map[string]string {
	return map[string]string{"X-Amz-Security-Token": c.token}
}

func (c credentials) sign(scope []string, text string) (string, string, error) {
	key := []byte("AWS4" + c.secret)
	for _, part := range scope {
		key = mac(key, part)
	}
	return c.access, hex.EncodeToString(mac(key, text)), nil
}

func mac(key []byte, text string) []byte {
	hash := hmac.New(sha256.New, key)
	hash.Write([]byte(text))
	return hash.Sum(nil)
}

// call calls an operation. An error is written as the SDK writes it, on two
// lines, because installers look for its words.
func (s *service) call(ctx context.Context, who signer, operation string, input map[string]any, output any) error {
	body, err := json.Marshal(input)
	if err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	// A reader of unknown length: the agent sends its bodies in chunks.
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint.JoinPath("/").String(), io.MultiReader(bytes.NewReader(body)))
	if err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", "AmazonSSM."+operation)
	for name, value := range who.headers() {
		request.Header.Set(name, value)
	}
	if err := s.authorize(request, who, body); err != nil {
		return fmt.Errorf("sign %s: %w", operation, err)
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("RequestError: send request failed\ncaused by: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("%s: read the answer: %w", operation, err)
	}
	if answer.StatusCode != http.StatusOK {
		var problem struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}
		_ = json.Unmarshal(text, &problem)
		return fmt.Errorf("%s: %s\n\tstatus code: %d, request id: %s", problem.Type, problem.Message,
			answer.StatusCode, answer.Header.Get("X-Amzn-Requestid"))
	}
	if output == nil {
		return nil
	}
	if err := json.Unmarshal(text, output); err != nil {
		return fmt.Errorf("%s: the answer: %w", operation, err)
	}
	return nil
}

// authorize adds the header of Signature Version 4.
func (s *service) authorize(request *http.Request, who signer, body []byte) error {
	now := time.Now().UTC()
	if _, anybody := who.(unsigned); anybody {
		return nil
	}
	request.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	signed := map[string]string{"host": request.URL.Host}
	for name, values := range request.Header {
		signed[strings.ToLower(name)] = strings.Join(values, ",")
	}
	var names []string
	for name := range signed {
		names = append(names, name)
	}
	slices.Sort(names)
	var headers strings.Builder
	for _, name := range names {
		headers.WriteString(name + ":" + signed[name] + "\n")
	}
	hash := sha256.Sum256(body)
	list := strings.Join(names, ";")
	canonical := strings.Join([]string{request.Method, "/", "", headers.String(), list, hex.EncodeToString(hash[:])}, "\n")
	digest := sha256.Sum256([]byte(canonical))
	scope := []string{now.Format("20060102"), s.region, "ssm", "aws4_request"}
	where := strings.Join(scope, "/")
	text := strings.Join([]string{"AWS4-HMAC-SHA256", request.Header.Get("X-Amz-Date"), where, hex.EncodeToString(digest[:])}, "\n")
	key, signature, err := who.sign(scope, text)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", key, where, list, signature))
	// After the rest, as the agent does: the hash is part of the text anyway.
	if _, own := who.(nodeKey); own {
		request.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(hash[:]))
	}
	return nil
}
