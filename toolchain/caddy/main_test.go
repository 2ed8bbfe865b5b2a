package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

const soon = 200 * time.Millisecond

func write(t *testing.T, folder, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// mount writes a Secret whose certificate has this serial number.
func mount(t *testing.T, folder string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"edge"}, NotAfter: time.Now().Add(time.Hour),
	}
	signed, err := x509.CreateCertificate(rand.Reader, leaf, leaf, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: signed},
		"tls.key": {Type: "PRIVATE KEY", Bytes: secret},
		"ca.crt":  {Type: "CERTIFICATE", Bytes: signed},
	} {
		write(t, folder, name, string(pem.EncodeToMemory(block)))
	}
}

// begin is an edge that serves what is mounted now.
func begin(t *testing.T, folder, admin string) *edge {
	t.Helper()
	served, err := content(folder)
	if err != nil {
		t.Fatal(err)
	}
	return &edge{folder, admin, http.Client{Timeout: soon}, served}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// mustShow asks for a while: when Caddy hands its listener over, a connection that is just being opened may be cut.
func mustShow(t *testing.T, address string, serial int64) {
	t.Helper()
	said := ""
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		door, err := tls.Dial("tcp", address, &tls.Config{ServerName: "edge", InsecureSkipVerify: true})
		if err != nil {
			said = err.Error()
			continue
		}
		found := door.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
		door.Close()
		if found == serial {
			return
		}
		said = fmt.Sprintf("%d is shown", found)
	}
	t.Fatalf("certificate %d is mounted: %s", serial, said)
}

func TestCaddyShowsARenewedCertificate(t *testing.T) {
	// Where Caddy would keep things of its own.
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	folder, admin, door := t.TempDir(), freeAddress(t), freeAddress(t)
	mount(t, folder, 1)
	configuration := fmt.Sprintf(`{
		"admin": {"listen": %q, "config": {"persist": false}},
		"apps": {
			"tls": {"disable_storage_clean": true, "certificates": {"load_files": [{"certificate": %q, "key": %q}]}},
			"http": {"servers": {"door": {
				"listen": [%q], "automatic_https": {"disable": true}, "tls_connection_policies": [{}],
				"routes": [{"handle": [{"handler": "static_response"}]}]
			}}}
		}
	}`, admin, filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key"), door)
	if err := caddy.Load([]byte(configuration), true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = caddy.Stop() })
	edge := begin(t, folder, "http://"+admin)
	for serial := int64(1); serial <= 3; serial++ {
		mount(t, folder, serial)
		edge.look()
		mustShow(t, door, serial)
	}
}

// paper answers as an admin port does, or as told, and notes what it was given to load.
type paper struct {
	*httptest.Server
	answers []http.HandlerFunc
	loaded  []string
}

func newPaper(t *testing.T, answers ...http.HandlerFunc) *paper {
	t.Helper()
	made := &paper{answers: answers}
	made.Server = httptest.NewServer(made)
	t.Cleanup(made.Close)
	return made
}

func (p *paper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/config/" {
		fmt.Fprint(w, "as it is")
		return
	}
	given, _ := io.ReadAll(r.Body)
	p.loaded = append(p.loaded, r.Header.Get("Cache-Control")+": "+string(given))
	if len(p.answers) > 0 {
		answer := p.answers[0]
		p.answers = p.answers[1:]
		answer(w, r)
	}
}

func (p *paper) mustHaveLoaded(t *testing.T, times int) {
	t.Helper()
	if len(p.loaded) != times {
		t.Fatalf("loaded %d times, not %d", len(p.loaded), times)
	}
	for _, each := range p.loaded {
		if each != "must-revalidate: as it is" {
			t.Fatalf("loaded %q", each)
		}
	}
}

func TestEachPartOfTheSecretIsLoadedOnce(t *testing.T) {
	folder, port := t.TempDir(), newPaper(t)
	mount(t, folder, 1)
	edge := begin(t, folder, port.URL)
	edge.look()
	port.mustHaveLoaded(t, 0)
	for number, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		write(t, folder, name, "another")
		edge.look()
		edge.look()
		port.mustHaveLoaded(t, number+1)
	}
}

func TestAMissingFileIsWaitedFor(t *testing.T) {
	folder, port := t.TempDir(), newPaper(t)
	mount(t, folder, 1)
	edge := begin(t, folder, port.URL)
	if err := os.Remove(filepath.Join(folder, "tls.key")); err != nil {
		t.Fatal(err)
	}
	edge.look()
	port.mustHaveLoaded(t, 0)
	write(t, folder, "tls.key", "another")
	edge.look()
	port.mustHaveLoaded(t, 1)
}

func TestALoadThatFailsOrNeverEndsIsTriedAgain(t *testing.T) {
	refuse := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	folder, port := t.TempDir(), newPaper(t, refuse, hang)
	mount(t, folder, 1)
	edge := begin(t, folder, port.URL)
	mount(t, folder, 2)
	for range 4 {
		edge.look()
	}
	port.mustHaveLoaded(t, 3)
}
