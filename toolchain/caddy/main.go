// Command caddy is Caddy with its standard modules, and one habit more: it loads its configuration anew when the
// certificates that it was given change on disk. Kubernetes swaps mounted Secrets; Caddy reads files only on a load.
package main

import (
	"bytes"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

const (
	mounted   = "/var/run/plm/tls"
	adminPort = "http://127.0.0.1:2019"
	lookEvery = 5 * time.Second
	// A load takes far less. An admin port that says nothing must not end the looking: the next look asks again.
	patience = 10 * time.Second
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "run" {
		edge := edge{folder: mounted, admin: adminPort, client: http.Client{Timeout: patience}}
		// Read before Caddy reads: what is swapped in between counts as a change.
		edge.served, _ = content(mounted)
		go func() {
			for range time.Tick(lookEvery) {
				edge.look()
			}
		}()
	}
	caddycmd.Main()
}

// content is all that a Secret of ours holds. The authorities count too: a new CA is trusted before it signs.
func content(folder string) ([]byte, error) {
	var all []byte
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		found, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// edge is the running Caddy: the folder that its certificates lie in, and its admin port.
type edge struct {
	folder string
	admin  string
	client http.Client
	served []byte
}

// look reloads when the folder holds something else than what was served before.
func (e *edge) look() {
	found, err := content(e.folder)
	if err != nil || bytes.Equal(found, e.served) {
		return
	}
	if err := e.reload(); err != nil {
		log.Printf("could not load the renewed certificates, trying again: %v", err)
		return
	}
	e.served = found
}

// reload asks for the running configuration and loads it once more, although it is unchanged.
func (e *edge) reload() error {
	current, err := e.client.Get(e.admin + "/config/")
	if err != nil {
		return err
	}
	defer current.Body.Close()
	request, err := http.NewRequest(http.MethodPost, e.admin+"/load", current.Body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Cache-Control", "must-revalidate")
	answer, err := e.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return &http.ProtocolError{ErrorString: answer.Status}
	}
	return nil
}
