package sim

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Mirror is an HTTPS server of files on loopback, with an authority of its
// own: where guests get packages from.
type Mirror struct {
	server *http.Server
}

// StartMirror serves the files of a directory, and writes ca.pem and, last, url
// to out.
func StartMirror(files, out string) (*Mirror, error) {
	id, err := newIdentity()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	m := &Mirror{server: &http.Server{
		Handler: http.FileServer(http.Dir(files)), ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{id.certificate}, MinVersion: tls.VersionTLS12},
	}}
	go func() { _ = m.server.ServeTLS(listener, "", "") }()
	url := "https://" + listener.Addr().String()
	for _, file := range []struct {
		name string
		data []byte
	}{{"ca.pem", id.caPEM}, {"url", []byte(url)}} {
		path := filepath.Join(out, file.name)
		if err := os.WriteFile(path+".new", file.data, 0o600); err != nil {
			return nil, fmt.Errorf("write %s: %w", path, err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			return nil, fmt.Errorf("write %s: %w", path, err)
		}
	}
	return m, nil
}

// Close stops serving.
func (m *Mirror) Close() error { return m.server.Close() }
